from __future__ import annotations

import json
import logging
import sys

import pytest

from anthropic_bedrock_proxy.telemetry.logs import JSONFormatter, TextFormatter

SECRET = "sk-" + "Ab1_" * 10 + "xyz"


def record(**extra):
    made = logging.makeLogRecord(
        {
            "name": "a.b",
            "levelno": 30,
            "levelname": "WARNING",
            "msg": "told %s",
            "args": ("you",),
            "created": 1_796_000_000.125,
        }
    )
    made.__dict__.update(extra)
    return made


def failure():
    try:
        int("why")
    except ValueError:
        return sys.exc_info()


def test_json_lines():
    line = json.loads(JSONFormatter().format(record(code="x", exc_info=failure())))
    assert line["message"] == "told you"
    assert line["time"] == "2026-11-30T00:53:20.125Z"
    assert (line["level"], line["logger"], line["code"]) == ("warning", "a.b", "x")
    assert "ValueError: invalid literal" in line["exception"]


def test_text_lines():
    line = TextFormatter().format(record(code="x", exc_info=failure()))
    assert line.startswith("00:53:20 WARNING told you code=x\n")
    assert "ValueError: invalid literal" in line


@pytest.mark.parametrize("formatter", [JSONFormatter(), TextFormatter()])
def test_an_account_is_in_no_message_field_or_traceback(formatter):
    arn = "arn:aws:iam::123456789012:role/x"
    try:
        int(arn)
    except ValueError:
        told = record(args=(arn,), model=[arn], exc_info=sys.exc_info())
    line = formatter.format(told)
    assert "123456789012" not in line
    assert line.count("arn:aws:iam::(account):role/x") >= 3
    if isinstance(formatter, JSONFormatter):
        json.loads(line)


@pytest.mark.parametrize("formatter", [JSONFormatter(), TextFormatter()])
def test_a_key_is_in_no_message_field_or_traceback(formatter):
    try:
        int(SECRET)
    except ValueError:
        told = record(args=(SECRET,), model=f"a {SECRET}", exc_info=sys.exc_info())
    line = formatter.format(told)
    assert SECRET not in line
    assert line.count("sk-(hidden)") >= 3
    if isinstance(formatter, JSONFormatter):
        assert json.loads(line)["model"] == "a sk-(hidden)"
    assert "sk-...wxyz" in formatter.format(record(hint="sk-...wxyz"))


def test_what_is_quoted_cannot_look_like_another_line():
    told = record(args=("\x1b[2J",), content="{\n12:00:00 200 POST /\r\u2028")
    line = TextFormatter().format(told)
    assert line.endswith("told ?[2J content={?12:00:00 200 POST /??")
    (line,) = JSONFormatter().format(told).split("\n")
    assert json.loads(line)["content"] == "{\n12:00:00 200 POST /\r\u2028"


def quoting():
    raise ValueError("odd:\n12:00:00 ERROR   forged\r\x1b[2J\u202812:00:00 ERROR   too")


def test_what_an_exception_quotes_cannot_look_like_another_line():
    try:
        quoting()
    except ValueError:
        told = record(exc_info=sys.exc_info())
    _, *rest = TextFormatter().format(told).split("\n")
    assert "  12:00:00 ERROR   forged??[2J?12:00:00 ERROR   too" in rest
    assert all(line.startswith("  ") for line in rest)
