"""Functions of Python cells: when their calls are told, and what their answers do."""

from __future__ import annotations

import pytest

from anthropic_bedrock_proxy.sandbox.runner import functions

GATHER = """
import asyncio
print(await asyncio.gather(*(query({"n": n}) for n in range(3))))
"""


def names_and_inputs(told):
    assert told["type"] == "calls", told
    return [(call["name"], call["input"]) for call in told["calls"]]


def test_calls_that_wait_together_are_told_in_one_line(inside):
    told = inside.python(GATHER, functions=["query"])
    assert names_and_inputs(told) == [("query", {"n": n}) for n in range(3)]
    for call in told["calls"]:
        inside.answer(call["call"], f"r{call['input']['n']}")
    assert inside.read()["stdout"] == "['r0', 'r1', 'r2']\n"


def test_answers_come_in_any_order(inside):
    told = inside.python(GATHER, functions=["query"])
    for call in reversed(told["calls"]):
        inside.answer(call["call"], f"r{call['input']['n']}")
    assert inside.read()["stdout"] == "['r0', 'r1', 'r2']\n"


def test_calls_one_after_the_other_are_told_one_by_one(inside):
    code = "got = [await query(n=n) for n in range(25)]\nprint(len(got), got[-1])"
    message = inside.python(code, functions=["query"])
    for n in range(25):
        assert names_and_inputs(message) == [("query", {"n": n})]
        inside.answer(message["calls"][0]["call"], f"r{n}")
        message = inside.read()
    assert message["stdout"] == "25 r24\n"


def test_a_call_after_the_first_answer_does_not_wait_for_the_others(inside):
    code = """
import asyncio
async def two(n):
    await query(n=n)
    await query(n=n + 10)
await asyncio.gather(two(1), two(2))
"""
    first = inside.python(code, functions=["query"])["calls"]
    inside.answer(first[1]["call"], "")
    told = inside.read()
    assert names_and_inputs(told) == [("query", {"n": 12})]
    inside.answer(first[0]["call"], "")
    last = inside.read()
    assert names_and_inputs(last) == [("query", {"n": 11})]
    inside.answer(told["calls"][0]["call"], "")
    inside.answer(last["calls"][0]["call"], "")
    assert inside.read()["return_code"] == 0


def test_calls_are_told_while_the_code_waits_for_something_else_too(inside):
    code = """
import asyncio
task = asyncio.create_task(query())
await asyncio.wait([task, asyncio.create_task(asyncio.sleep(1000))], return_when="FIRST_COMPLETED")
print(task.result())
"""
    (call,) = inside.python(code, functions=["query"])["calls"]
    inside.answer(call["call"], "ok")
    assert inside.read()["stdout"] == "ok\n"


def test_calls_of_code_that_never_blocks_are_told_all_the_same(inside):
    code = """
import asyncio
task = asyncio.create_task(query())
while not task.done():
    await asyncio.sleep(0)
print(task.result())
"""
    (call,) = inside.python(code, functions=["query"])["calls"]
    inside.answer(call["call"], "ok")
    assert inside.read()["stdout"] == "ok\n"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("[1]", "TypeError: query() takes one dict, not list"),
        ("{'a': 1}, b=2", "TypeError: query() takes one dict, or its items by name, but not both"),
        ("{'a': {1}}", "TypeError: query() takes a dict that is JSON: Object of type set"),
        ("{'a': float('nan')}", "ValueError: query() takes a dict that is JSON: "),
        ("{'a': '\\ud800'}", "ValueError: query() takes a dict that is JSON: "),
        ("{'a': 'x' * 2**20}", "ValueError: query() takes 1048576 bytes at most, not 1048585"),
        ("__import__('functools').reduce(lambda a, _: {'a': a}, range(200), {})", "100 levels"),
        ("__import__('functools').reduce(lambda a, _: {'a': a}, range(9**5), {})", "JSON"),
    ],
)
def test_arguments_that_are_no_json_are_an_error_of_the_code(inside, arguments, error):
    done = inside.python(f"await query({arguments})", functions=["query"])
    assert error in done["stderr"]
    assert done["return_code"] == 1
    (call,) = inside.python("await query()", functions=["query"])["calls"]
    assert call["input"] == {}


def test_arguments_are_those_of_the_time_of_the_call(inside):
    code = """
import asyncio
a = {'n': 1}
t = asyncio.create_task(query(a))
await asyncio.sleep(0)
a['n'] = 2
await t
"""
    assert names_and_inputs(inside.python(code, functions=["query"])) == [("query", {"n": 1})]


def test_functions_are_those_of_the_cell_unless_the_name_is_the_codes(inside):
    inside.python("f = one\ntwo = 2", functions=["one", "two"])
    done = inside.python("print(two, three.__name__)\nawait f()", functions=["three"])
    assert done["stdout"] == "2 three\n"
    assert done["stderr"].endswith("RuntimeError: one() is not available any more\n")
    assert "NameError" in inside.python("one", functions=["three"])["stderr"]


def test_an_unanswered_call_times_out_in_the_code(inside):
    told = inside.python(
        "try:\n    await x()\nexcept TimeoutError as error:\n    print(error)",
        functions=["x"],
        call_seconds=0.2,
    )
    assert len(told["calls"]) == 1
    said = "Calling tool ['x'] timed out (no response after 0.2s).\n"
    assert inside.read()["stdout"] == said
    done = inside.python("await x()", functions=["x"], call_seconds=0.2) and inside.read()
    assert done["stderr"].endswith(f"TimeoutError: {said}")
    assert done["return_code"] == 1
    assert not done["timed_out"]


def test_the_clock_stands_still_while_a_call_is_unanswered_and_goes_on_after(inside):
    code = """
try:
    await x()
except TimeoutError:
    print('after')
    n = 0
    while True: n += 1
"""
    inside.python(code, functions=["x"], seconds=0.3, call_seconds=0.6)
    done = inside.read()
    assert (done["stdout"], done["timed_out"]) == ("after\n", True)


def test_the_clock_goes_on_with_the_last_answer(inside):
    code = "import asyncio\nawait asyncio.gather(x(), x())\nn = 0\nwhile True: n += 1"
    told = inside.python(code, functions=["x"], seconds=0.3)
    for call in told["calls"]:
        inside.answer(call["call"], "")
    assert inside.read()["timed_out"]


def test_a_call_that_is_cancelled_before_it_is_told_never_is(inside):
    code = """
import asyncio
t = asyncio.create_task(x())
await asyncio.sleep(0)
t.cancel()
await asyncio.sleep(0.01)
"""
    assert inside.python(code, functions=["x"])["type"] == "done"


def test_an_answer_that_comes_after_the_cell_is_for_the_task_that_waits(inside):
    code = "import asyncio\nt = asyncio.create_task(x())\nawait asyncio.sleep(0.01)"
    told = inside.python(code, functions=["x"])
    assert inside.read()["type"] == "done"
    inside.answer(told["calls"][0]["call"], "late")
    assert inside.says("print(await t)") == "late\n"


def test_answers_that_nobody_waits_for_are_ignored(inside):
    (call,) = inside.python("await x()", functions=["x"])["calls"]
    inside.answer(call["call"] + 1, "none")
    inside.answer(call["call"], "once")
    assert inside.read()["type"] == "done"
    inside.answer(call["call"], "twice")
    assert inside.says("print(1)") == "1\n"


def test_no_more_calls_than_the_bound_wait_at_once(inside):
    code = (
        "import asyncio\n"
        f"got = await asyncio.gather(*(x() for _ in range({functions.MAX_CALLS} + 2)),"
        " return_exceptions=True)\nprint(sum(isinstance(one, RuntimeError) for one in got))"
    )
    told = inside.python(code, functions=["x"])
    assert len(told["calls"]) == functions.MAX_CALLS
    for call in told["calls"]:
        inside.answer(call["call"], "")
    assert inside.read()["stdout"] == "2\n"


def test_calls_given_up_by_the_code_count_until_they_are_answered(inside):
    code = """
import asyncio
task = None
while task is None or task.cancelled():
    task = asyncio.create_task(x())
    await asyncio.sleep(0.0001)
    task.cancel()
    await asyncio.wait([task])
print(task.exception())
"""
    message = inside.python(code, functions=["x"])
    told = 0
    while message["type"] == "calls":
        told += len(message["calls"])
        message = inside.read()
    assert (told, message["stdout"]) == (1000, "x(): more than 1000 calls at once\n")


def test_large_calls_are_told_in_several_lines(inside):
    code = "import asyncio\nawait asyncio.gather(*(x(a='y' * 1_000_000) for _ in range(20)))"
    message = inside.python(code, functions=["x"])
    counts = []
    while sum(counts) < 20:
        counts.append(len(message["calls"]))
        assert max(counts) < 16
        for call in message["calls"]:
            inside.answer(call["call"], "z" * 1_000_000)
        message = inside.read()
    assert message["return_code"] == 0


def test_more_than_may_wait_for_an_answer_is_told_as_others_are_answered(inside):
    # Told all at once they were too many for the executor, which ended the sandbox.
    code = "import asyncio\nawait asyncio.gather(*(x(a='y' * 1_000_000) for _ in range(30)))"
    message = inside.python(code, functions=["x"])
    waiting, answered = [], 0
    while message["type"] == "calls":
        waiting += message["calls"]
        assert len(waiting) <= 16
        if len(waiting) + answered == 30 or len(waiting) == 16:
            answered += len(waiting)
            for call in waiting:
                inside.answer(call["call"], "z")
            waiting = []
        message = inside.read()
    assert (answered, message["return_code"]) == (30, 0)


def test_a_large_answer_reaches_the_code(inside):
    (call,) = inside.python("print(len(await x()))", functions=["x"])["calls"]
    inside.answer(call["call"], "é" * 5_000_000)
    assert inside.read()["stdout"] == "5000000\n"


def test_answers_without_end_to_code_that_does_not_read_end_the_interpreter(inside):
    code = """
import asyncio
ts = [asyncio.create_task(x()) for _ in range(20)]
await asyncio.sleep(0.01)
n = 0
while True: n += 1
"""
    told = inside.python(code, functions=["x"])
    for call in told["calls"]:
        inside.answer(call["call"], "z" * 6_000_000)
    done = inside.read()
    assert "it does not read" in done["stderr"]
    assert inside.says("print(1)") == "1\n"


def test_functions_can_be_awaited_in_the_loop_of_the_cell_only(inside):
    code = """
import asyncio, threading
def other():
    try:
        asyncio.run(x())
    except RuntimeError as error:
        print(error)
thread = threading.Thread(target=other)
thread.start()
thread.join()
"""
    said = inside.says(code, functions=["x"])
    assert said == "x() can be awaited only in the event loop that runs this code\n"
