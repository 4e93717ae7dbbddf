"""Whatever the product says is wrong can be found in the docs, and the docs quote what it says."""

from __future__ import annotations

import re
from pathlib import Path

import message_templates as said
import pytest

from anthropic_bedrock_proxy import errors

ROOT = Path(__file__).parents[1]
MESSAGES = (ROOT / "docs/reference/messages.md").read_text()
TROUBLE = (ROOT / "docs/how-to/troubleshooting.md").read_text()
HTTP = (ROOT / "docs/reference/http.md").read_text()
# Modules that hand on words which others have found, and who that is.
OTHERS_WORDS = {
    "admin/api.py": "the store",
    "admin/models.py": "a function that asks the registry",
    "admin/validation.py": "msgspec, put into words by admin/wording.py",
    "aws_errors.py": "AWS",
    "gateway/admission/permissions.py": "the parser of a tool's definition",
    "gateway/retirement.py": "the registry, with what is said of a retired model",
    "http/anthropic/budget_status.py": "the same error as a 403",
    "models/registry.py": "the last target that was left out",
    "protocol/converse/request/reading.py": "msgspec",
    "protocol/native/fields.py": "the table of fields",
    "protocol/request/messages.py": "msgspec",
    "tools/web/seal.py": "errors.py:needs_extra",
    "turn/sent_back.py": "the tool, of a seal that does not open",
    "turn/loop.py": "the tool",
}


def test_the_page_of_messages_is_what_the_sources_say():
    again = "python tests/support/message_templates.py writes it"
    assert said.page() == MESSAGES, again


def test_every_kind_of_error_that_clients_see_is_on_the_page():
    def leaves(cls):
        ours = [one for one in cls.__subclasses__() if one.__module__.startswith(said.PACKAGE.name)]
        return {cls.__name__, *(name for one in ours for name in leaves(one))}

    used = {one.kind for one in said.templates()}
    without = leaves(errors.ProxyError) - used - {"ProxyError", "BodyTooSlowError"}
    # These are made of rows of `AWS_ERRORS`, or of another error.
    assert without == {"BillingError", "UpstreamTimeoutError"}


def test_an_error_has_words_of_its_own_or_hands_on_those_of_others():
    wordless = {
        module
        for module, tree in said.trees().items()
        for call, scope in said.calls(tree, {})
        for kind, argument in said.message_arguments(module, call, scope)
        if kind in said.STATUS
        for text in said.texts_of(argument, scope)
        if not any(len(word) > 1 for word in said.Template(module, kind, text).words)
    }
    assert wordless == OTHERS_WORDS.keys()


def test_every_error_code_is_explained():
    codes = set(re.findall(r'error_code="(\w+)"', "".join(sources())))
    assert len(codes) > 5
    assert not {code for code in codes if f"`{code}`" not in TROUBLE + HTTP}


def sources():
    return [path.read_text() for path in said.PACKAGE.rglob("*.py")]


def section(title):
    return TROUBLE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def quoted():
    """The texts that the page quotes, each a first cell in backticks."""
    titles = ("A client has an error", "The log has a line", "It does not start")
    for title in titles:
        for cell in re.findall(r"^\| (`.+?`+) \|", section(title), re.MULTILINE):
            yield cell.strip("`")


def test_the_page_quotes_texts():
    assert len(list(quoted())) > 80


@pytest.mark.parametrize("text", list(quoted()))
def test_a_quoted_text_is_one_that_the_product_says(text):
    parts = [re.escape(part.strip()) for part in text.split(said.DIFFERS)]
    pattern = re.compile(r".*?".join(parts))
    assert any(pattern.match(one.shown) for one in said.templates()), text


def test_every_alert_has_a_first_thing_to_try():
    rules = (ROOT / "deploy/monitoring/prometheus/alerts.yml").read_text()
    alerts = set(re.findall(r"alert: (\w+)", rules))
    assert len(alerts) > 20
    assert set(re.findall(r"`(Proxy\w+)`", section("An alert fires"))) == alerts


def test_every_line_of_doctor_has_its_place():
    page = (ROOT / "docs/how-to/doctor.md").read_text()
    table = page.partition("## What is checked")[2].partition("\n## ")[0]
    checks = set(re.findall(r"^\| (?!check |---)([^|]+?) \|", table, re.MULTILINE)) - {"models"}
    assert len(checks) > 8
    assert not {check for check in checks if f"`{check}`" not in section("doctor has a line")}
