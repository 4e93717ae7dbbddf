"""What is told of contents: text, whole; of files, how large they were; of streams, the message."""

from __future__ import annotations

import base64
import json
import random
from time import process_time

import pytest

from anthropic_bedrock_proxy.telemetry.readable import UNREADABLE, folded, without_files

FILE = random.Random(1).randbytes(3_001)
PLAIN = base64.b64encode(FILE).decode()
LINES = base64.encodebytes(FILE).decode()
FORMS = {
    "standard": json.dumps(PLAIN),
    "url-safe": json.dumps(base64.urlsafe_b64encode(FILE).decode()),
    "without padding": json.dumps(PLAIN.rstrip("=")),
    "in lines": json.dumps(LINES),
    "in lines of Windows": json.dumps(LINES.replace("\n", "\r\n")),
    "in lines, unescaped": f'"{LINES}"',
    "escaped slashes": json.dumps(PLAIN).replace("/", "\\/"),
    "escaped signs": json.dumps(PLAIN).replace("+", "\\u002B").replace("=", "\\u003d"),
    "JSON in JSON": json.dumps(json.dumps({"data": PLAIN}).replace("/", "\\/")),
    "lines in JSON in JSON": json.dumps(json.dumps({"data": LINES})),
    "data URL": json.dumps(f"data:image/png;base64,{PLAIN}"),
}


def leftover(text):
    """The longest piece of the file that is told."""
    plain = text.replace("\\", "")
    return max((size for size in (8, 16, 64) for at in range(0, len(PLAIN) - size, size)
                if PLAIN[at : at + size] in plain), default=0)  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_file_is_left_out_in_every_form_and_the_rest_stays(form):
    given = f'{{"before":1,"data":{FORMS[form]},"after":"What is this?"}}'
    told = without_files(given, most=len(given))
    assert leftover(given) >= 16
    assert leftover(told) < 16
    assert "characters)" in told
    assert told.startswith('{"before":1,"data":"')
    assert json.loads(told, strict=False)["after"] == "What is this?"


@pytest.mark.parametrize(
    "text",
    [
        "The quick brown fox. " * 500,
        "a1b2" * 63,
        "snake_case_words-and/paths " * 100,
        "f" * 64 + "\n" + "not a line of it",
        "",
    ],
)
def test_text_is_no_file(text):
    assert without_files(text, most=1 << 20) == text


@pytest.mark.parametrize("text", ["\\u002B", "a \\u003d b", "C:\\\\/", "\\", "\\n", "\\u00e9 \\/"])
def test_text_about_escapes_is_json_still(text):
    given = json.dumps({"text": text, "after": "What is this?"})
    assert json.loads(without_files(given, most=len(given)))["after"] == "What is this?"
    assert json.loads(without_files(json.dumps(given), most=99))


def test_small_files_count_in_data_urls_alone():
    assert without_files("data:a/b;base64,QUJD, QUJD", most=99) == (
        "data:a/b;base64,(4 characters), QUJD"
    )


def test_what_is_told_is_cut_after_files_were_left_out():
    told = without_files(f"{PLAIN} {'x ' * 1000}", most=1000)
    assert told.startswith("(4004 characters) x x")
    assert 1000 <= len(told) <= 1020
    assert without_files("x y" * 1000, most=10) == "x yx yx yx"


def test_what_is_not_told_costs_nothing():
    def seconds(size):
        began = process_time()
        without_files("The quick brown fox. " * size, most=1000)
        return process_time() - began

    assert seconds(500_000) < 0.1
    began = process_time()
    without_files("\\/ " + "\\" * 100_000, most=1000)
    without_files(("a" * 59 + " ") * 2000, most=1 << 20)
    assert process_time() - began < 0.5


def event(name, **data):
    return name.encode(), json.dumps({"type": name, **data}).encode()


def test_events_become_their_message():
    events = [
        event("message_start", message={"id": "m", "content": [], "usage": {"input_tokens": 3}}),
        event("content_block_start", index=0, content_block={"type": "thinking", "thinking": ""}),
        event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "h"}),
        event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "m"}),
        event("ping"),
        event("content_block_start", index=1, content_block={"type": "tool_use", "input": {}}),
        event("content_block_delta", index=1,
              delta={"type": "input_json_delta", "partial_json": '{"a":'}),
        event("message_delta", delta={"stop_reason": "max_tokens"}, usage={"output_tokens": 5}),
    ]  # fmt: skip
    assert folded(events) == {
        "id": "m",
        "stop_reason": "max_tokens",
        "usage": {"input_tokens": 3, "output_tokens": 5},
        "content": [{"type": "thinking", "thinking": "hm"}, {"type": "tool_use", "input": '{"a":'}],
    }
    assert folded(events[:3])["content"] == [{"type": "thinking", "thinking": "h"}]


@pytest.mark.parametrize(
    "odd", [(b"message_start", b"{"), event("message_delta"), event("content_block_delta", index=0)]
)
def test_odd_events_are_unreadable(odd):
    with pytest.raises(UNREADABLE):
        folded([odd])
