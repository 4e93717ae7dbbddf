"""Every text by which the product says that something is wrong, read off its sources.

What differs is written as an ellipsis. Running this file writes docs/reference/messages.md.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import NamedTuple

from anthropic_bedrock_proxy import errors
from anthropic_bedrock_proxy.aws_errors import AWS_ERRORS, OWN_REFUSALS

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "anthropic_bedrock_proxy"
PAGE = ROOT / "docs" / "reference" / "messages.md"
DIFFERS = "…"
FORM = re.compile(r"%[.\d]*[sdrgf]")
LOUD = ("warning", "error", "critical", "exception")
# What people see of these is their text: at the start, from a command, in a log line, in `/health`.
OPERATORS = (
    *("BindError", "ClickException", "CredentialsError", "ListenError", "LookUpError"),
    *("LimiterError", "MigrationError", "NotPreparedError", "OwnFolderError", "ProfileError"),
    *("SealingError", "SettingsError", "StartError", "StoreError", "SyncError", "UsageError"),
    *("AlreadyExistsError", "NoSuchObjectError", "PublicListError", "UnreadableFileError"),
)
# What ends the sentence "could not be fetched: …".
FETCHES = (
    *("FetchError", "NotAccessibleError", "NotAllowedError", "StatusError"),
    *("UnreadableError", "WrongTypeError"),
)
CHECKS = {"warn": 2, "fail": 2, "_closed": 3}  # of doctor, with how many texts
STATUS = {
    name: cls.status
    for name, cls in vars(errors).items()
    if isinstance(cls, type) and issubclass(cls, errors.ProxyError)
}


class Template(NamedTuple):
    """A text as it stands in the sources; `kind` is the class or function that takes it."""

    module: str  # below the package
    kind: str
    text: str

    @property
    def words(self) -> list[str]:
        """The fixed parts of the text."""
        return [part.strip() for part in self.shown.split(DIFFERS) if part.strip()]

    @property
    def shown(self) -> str:
        """The text on one line; placeholders of a log line (`%s`) become an ellipsis, too."""
        text = " ".join(self.text.split())
        return FORM.sub(DIFFERS, text) if self.kind == "log" else text


@cache
def trees() -> dict[str, ast.Module]:
    paths = sorted(PACKAGE.rglob("*.py"))
    named = {path.relative_to(PACKAGE).as_posix(): path for path in paths}
    return {
        name: ast.parse(path.read_text())
        for name, path in named.items()
        if not name.startswith("sim/")
    }


@cache
def constants() -> dict[str, str]:
    """The module-level texts of the product by name; those whose names several modules use, not."""
    found: dict[str, list[str]] = {}
    for tree in trees().values():
        for node in tree.body:
            targets = getattr(node, "targets", [getattr(node, "target", None)])
            value = getattr(node, "value", None)
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                for target in targets:
                    found.setdefault(getattr(target, "id", ""), []).append(value.value)
    return {name: texts[0] for name, texts in found.items() if len(texts) == 1}


Scope = dict[str, list[ast.expr]]  # what the variables of a function are assigned


def texts_of(node: ast.expr | None, scope: Scope) -> list[str]:
    """The texts that an expression may give, as far as they are fixed."""
    match node:
        case ast.Constant(value=str(value)):
            return [value]
        case ast.JoinedStr(values=parts):
            return _joined(parts, scope)
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return _joined([left, right], scope)
        case ast.FormattedValue(value=ast.IfExp() as choice):
            return texts_of(choice, scope)
        case ast.IfExp(body=body, orelse=orelse):
            return [*texts_of(body, scope), *texts_of(orelse, scope)]
        case ast.Name(id=name) if name in scope:
            return [text for value in scope[name] for text in texts_of(value, {})]
        case ast.Name(id=name) if name in constants():
            return [constants()[name]]
    return [DIFFERS]


def _joined(parts: list[ast.expr], scope: Scope) -> list[str]:
    return ["".join(some) for some in product(*(texts_of(part, scope) for part in parts))]


def calls(node: ast.AST, scope: Scope) -> Iterator[tuple[ast.Call, Scope]]:
    """The calls below a node, each with the variables around it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield child, scope
        inner = scope
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = {}
            for one in ast.walk(child):
                if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name):
                    inner.setdefault(one.targets[0].id, []).append(one.value)
        yield from calls(child, inner)


def name_of(call: ast.Call) -> str:
    return getattr(call.func, "id", getattr(call.func, "attr", ""))


@cache
def templates() -> tuple[Template, ...]:
    """All of them with at least one fixed word, in the order of the sources."""
    return tuple(one for one in _found() if any(len(word) > 1 for word in one.words))


def _found() -> Iterator[Template]:
    for module, tree in trees().items():
        for call, scope in calls(tree, {}):
            for kind, argument in message_arguments(module, call, scope):
                for text in texts_of(argument, scope):
                    yield Template(module, kind, text)


def message_arguments(module: str, call: ast.Call, scope: Scope) -> Iterator[tuple[str, ast.expr]]:
    """The kind and the expression of each text that a call takes."""
    if not call.args:
        return
    kind = name_of(call)
    for value in scope.get(kind, ()):  # a variable that one of several classes was put into
        for one in ast.walk(value):
            if isinstance(one, ast.Name) and one.id in STATUS:
                yield one.id, call.args[0]
    owner = getattr(getattr(call.func, "value", None), "id", "")
    if kind in LOUD and owner in ("_log", "log"):
        yield "log", call.args[0]
    elif kind in CHECKS:
        yield from (("doctor", one) for one in call.args[: CHECKS[kind]])
    elif kind == "UpstreamRefusal" or (kind == "kind" and module == "upstream/refusals.py"):
        yield from (("UpstreamRefusal", one) for one in call.args[1:2])
    elif kind == "__init__" and module == "http/server/errors.py":
        yield "ProtocolError", call.args[0]
    elif (kind == "append" and owner == "problems") or (
        kind == "ValueError" and module.startswith(("config/", "app/", "process/"))
    ):
        yield "SettingsError", call.args[0]
    elif kind == "SettingsError" and isinstance(call.args[0], ast.List):
        yield from ((kind, one) for one in call.args[0].elts)
    elif kind.endswith("Error") or kind in OPERATORS:
        yield kind, call.args[0]


def of_kind(*kinds: str) -> list[Template]:
    return [one for one in templates() if one.kind in kinds]


def _table(found: list[Template]) -> str:
    modules: dict[str, set[str]] = {}
    for one in found:
        modules.setdefault(one.shown, set()).add(f"`{one.module}`")
    rows = (f"| {_code(text)} | {', '.join(sorted(modules[text]))} |" for text in sorted(modules))
    return "\n".join(("| message | where |", "|---|---|", *rows))


def _code(text: str) -> str:
    """A text in a cell, whatever is in it."""
    return f"`` {text} ``".replace("|", "\\|")


def _to_clients() -> list[str]:
    lines = []
    for status in sorted({STATUS[one.kind] for one in of_kind(*STATUS)}):
        found = [one for one in of_kind(*STATUS) if STATUS[one.kind] == status]
        lines += [f"### {status}", "", _table(found), ""]
    return lines


def _of_bedrock() -> str:
    lines = ["| Bedrock says | status | tried again | it is about |", "|---|---|---|---|"]
    for code, rule in sorted({**AWS_ERRORS, **OWN_REFUSALS}.items()):
        status = errors.UnavailableError.status if rule.credentials else rule.error.status
        again = "yes" if rule.retryable else "no"
        about = "the operator's credentials" if rule.credentials else f"`{rule.error.type}`"
        lines.append(f"| `{code}` | {status} | {again} | {about} |")
    return "\n".join(lines)


FRAME = """# Messages

Written by `python tests/support/message_templates.py`; do not edit by hand.

Every text by which the proxy says that something is wrong, to be searched: `…` stands for what
differs, the second column for the module that says it. Causes and mends of those that people meet
are in [troubleshooting](../how-to/troubleshooting.md).

## To clients

`error.message` by status ([the documents](http.md#errors)). A path before a colon is the place in
the request.

{clients}
### Of a connection

400, 408, 413, 414, 417, 431, 501 or 505, before anybody is asked who it is.

{connections}

### When Bedrock does not answer as it should

With the status of the [table below](#what-bedrock-answers).

{refusals}

### Behind `could not be fetched`

{fetches}

### Behind `Code cannot be run at the moment`, and of files

{sandboxes}

## What Bedrock answers

By the name of the exception, as `cause` of the access log has it (`aws:NAME`), with the status that
clients get. Names that AWS does not have are the proxy's own, for what is no answer.

{bedrock}

## In the log

Lines of the levels `WARNING`, `ERROR` and `CRITICAL`.

{log}

## At the start and from commands

{operators}

## From doctor

What was found, and what mends it.

{doctor}
"""


def page() -> str:
    """The page as it has to be."""
    return FRAME.format(
        clients="\n".join(_to_clients()),
        connections=_table(of_kind("ProtocolError")),
        refusals=_table(of_kind("UpstreamRefusal")),
        fetches=_table(of_kind(*FETCHES)),
        sandboxes=_table(of_kind("SandboxUnavailableError", "SpoolFullError", "IsolationError")),
        bedrock=_of_bedrock(),
        log=_table(of_kind("log")),
        operators=_table(of_kind(*OPERATORS)),
        doctor=_table(of_kind("doctor")),
    )


if __name__ == "__main__":
    PAGE.write_text(page())
    sys.stdout.write(f"{len(templates())} messages\n")
