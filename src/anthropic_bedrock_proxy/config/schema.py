"""The declaration of settings: the annotation on a field, and the list of all fields.

A field of a `Section` is written `name: Annotated[type, Setting("NAME", "doc")] = default`, and
everything else (loading, errors, `config`, `.env.example`, the reference page) is read from there.
The repr of a section masks its secrets, so a settings object in a log or a traceback gives nothing
away.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

import msgspec

MASK = "****"
_USERINFO = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://)?.*@", re.DOTALL)
_QUERY = re.compile(r"\?.*", re.DOTALL)


class Rule(msgspec.Struct, frozen=True):
    """A rule for the text of a setting: `canonical` returns the text to keep, None to refuse it.

    `hides`: no error message repeats the text, in which a secret may stand in the wrong place.
    """

    allowed: str
    canonical: Callable[[str], str | None]
    hides: bool = False


class Setting(msgspec.Struct, frozen=True):
    """The annotation of a field. `no_effect` is the reason when this version does not act on it."""

    name: str
    doc: str
    aliases: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    rule: Rule | None = None
    secret: bool = False
    url: bool = False  # may carry a password before the @ or in its query
    no_effect: str = ""


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A group of fields, a table in the TOML file."""

    def __repr__(self) -> str:
        shown = (f"{f.attribute}={f.masked(getattr(self, f.attribute))!r}" for f in fields(self))
        return f"{type(self).__name__}({', '.join(shown)})"


class Field(msgspec.Struct, frozen=True):
    """One declared field. `type` is without `None`; `optional`: None is a value too."""

    attribute: str
    type: Any
    optional: bool
    default: Any
    setting: Setting

    @property
    def name(self) -> str:
        """Returns the name in the environment."""
        return self.setting.name

    @property
    def choices(self) -> tuple[str, ...]:
        """Returns the values of a closed list; empty for other types."""
        return get_args(self.type) if get_origin(self.type) is Literal else ()

    def masked(self, value: Any) -> Any:
        """Masks a value for display: secrets and passwords in URLs are replaced by `MASK`."""
        if self.setting.secret and value is not None and value != "":
            return MASK
        if self.setting.url and isinstance(value, str):
            return _QUERY.sub("?" + MASK, _USERINFO.sub(rf"\g<1>{MASK}@", value))
        return value


def fields(section: Section | type[Section]) -> list[Field]:
    """Lists the declared fields of a section, in order."""
    cls = section if isinstance(section, type) else type(section)
    defaults = cls()
    return [
        _field(attribute, annotation, getattr(defaults, attribute))
        for attribute, annotation in cls.__annotations__.items()
    ]


def _field(attribute: str, annotation: Any, default: Any) -> Field:
    declared, setting = get_args(annotation)
    members = get_args(declared)
    optional = type(None) in members
    if optional:
        (declared,) = (member for member in members if member is not type(None))
    return Field(attribute, declared, optional, default, setting)


def given_texts(section: Section) -> dict[str, str]:
    """Returns values that are no defaults as texts by name, for another process's environment."""
    values = {field.name: (field, getattr(section, field.attribute)) for field in fields(section)}
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, (field, value) in values.items()
        if value != field.default and value is not None
    }
