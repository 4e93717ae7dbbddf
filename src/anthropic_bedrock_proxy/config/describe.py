"""Settings for people: the output of `config`, `.env.example` and the reference page.

All of it is rendered from the declarations, so a field that exists is documented; a test compares
the two files with what is rendered here. Values pass through `Field.masked` before they are shown.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from .parse import allowed
from .predecessor import IGNORED
from .schema import Field, Section, fields
from .settings import SECTIONS, Settings

_ENV_EXAMPLE = """\
# Every setting with its default. Copy this file to .env and uncomment what you change.
# Written by `anthropic-bedrock-proxy config --env-example`; do not edit by hand.
"""

_MARKDOWN = """\
# Settings

Written by `anthropic-bedrock-proxy config --markdown`; do not edit by hand.

A setting comes from the first of these that has it: an option of the command line, the environment,
`.env` in the working directory, the TOML file given with `--config`, the default. Names are
case-insensitive. In the TOML file a setting is written flat under its name (`port = 8000`) or under
its section and key (`[server]` and `port = 8000`). An empty value unsets a setting whose default is
*unset*. In `.env`, `${NAME}` stands for the value of another name; an unknown name is reported and
skipped, while in the TOML file it is an error.

`anthropic-bedrock-proxy config` prints the settings in force and where each one comes from.
"""

_IGNORED = """\
## Ignored

Names of the predecessor that a `.env` may hold; they have no effect.

| Name | Why |
| --- | --- |
"""


def as_json(settings: Settings) -> dict[str, Any]:
    """Renders the document of `config --json`."""
    return {
        "settings": [
            {
                "name": field.name,
                "section": name,
                "key": field.attribute,
                "value": _plain(field.masked(getattr(section, field.attribute))),
                "source": settings.sources[field.name],
                "secret": field.setting.secret,
                "effective": not field.setting.no_effect,
                "reason": field.setting.no_effect or None,
            }
            for name, section, field in _walk(settings)
        ],
        "no_effect": msgspec.to_builtins(settings.no_effect),
        "warnings": list(settings.warnings),
    }


def as_text(settings: Settings) -> str:
    """Renders the page of `config`; a star marks settings without effect in this version."""
    rows: list[tuple[str, str, str] | str] = []
    last = ""
    for name, section, field in _walk(settings):
        if name != last:
            rows.append(f"[{name}]")
            last = name
        value = field.masked(getattr(section, field.attribute))
        star = "*" if field.setting.no_effect else ""
        rows.append((field.name + star, _written(value) or "(unset)", settings.sources[field.name]))
    cells = [row for row in rows if isinstance(row, tuple)]
    left = max(len(row[0]) for row in cells)
    middle = min(60, max(len(row[1]) for row in cells))
    lines = [
        row if isinstance(row, str) else f"  {row[0]:<{left}}  {row[1]:<{middle}}  {row[2]}"
        for row in rows
    ]
    lines.append("\n* no effect in this version")
    if settings.no_effect:
        lines.append("\nGiven, but without effect:")
        lines += [f"  {e.name} (from {e.source}): {e.reason}" for e in settings.no_effect]
    if settings.warnings:
        lines.append("\nWarnings:")
        lines += [f"  {warning}" for warning in settings.warnings]
    return "\n".join(lines) + "\n"


def env_example() -> str:
    """Renders `.env.example`."""
    parts = [_ENV_EXAMPLE]
    for name, cls in SECTIONS.items():
        parts.append(f"\n# == {name}: {_title(cls)}\n")
        for field in fields(cls):
            comment = textwrap.wrap(f"{_meaning(field)} ({_values(field)})", 97)
            parts.append("".join(f"\n# {line}" for line in comment))
            parts.append(f"\n#{field.name}={_written(field.default)}\n")
    return "".join(parts)


def markdown() -> str:
    """Renders the reference page."""
    parts = [_MARKDOWN]
    for name, cls in SECTIONS.items():
        parts.append(f"\n## {name}\n\n{_title(cls)}\n\n")
        parts.append(
            "| Name | Key | Default | Meaning | Allowed |\n| --- | --- | --- | --- | --- |\n"
        )
        for field in fields(cls):
            default = _written(field.default)
            cells = (
                f"`{field.name}`",
                f"`{field.attribute}`",
                f"`{default}`" if default else "*unset*",
                _meaning(field),
                _values(field),
            )
            parts.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n")
    parts.append("\n" + _IGNORED)
    parts += [f"| `{name}` | {reason} |\n" for name, reason in IGNORED.items()]
    return "".join(parts)


def _walk(settings: Settings) -> Iterator[tuple[str, Section, Field]]:
    for name in SECTIONS:
        section: Section = getattr(settings, name)
        for field in fields(section):
            yield name, section, field


def _title(cls: type[Section]) -> str:
    return (cls.__doc__ or "").strip()


def _meaning(field: Field) -> str:
    setting = field.setting
    text = setting.doc
    if setting.aliases:
        text += f" Also {', '.join(setting.aliases)}."
    if setting.secret:
        text += " Secret."
    if setting.no_effect:
        text += f" No effect yet: {setting.no_effect}."
    return text


def _values(field: Field) -> str:
    unit = "seconds: " if field.attribute.endswith("_seconds") else ""
    return unit + allowed(field)


def _plain(value: Any) -> Any:
    """Converts a value to JSON's types."""
    return str(value) if isinstance(value, Path) else value


def _written(value: Any) -> str:
    """Writes a value as in the environment; empty if unset."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, (Mapping, tuple)):
        return msgspec.json.encode(value).decode()
    return str(value)
