"""Loading of settings: their sources, and the order in which these win.

Command line over environment over `.env` over the TOML file over the default; names are
case-insensitive everywhere. Every problem is collected, then all are raised at once. An unknown
name is an error in the TOML file, which is ours alone, and a warning in `.env`, which compose files
and other programs share; in the environment it is ignored.
An alias (AWS_DEFAULT_REGION) counts only where no source has the setting's own name; below both,
the region of the AWS profile counts. An empty text in a stronger source unsets an optional value of
a weaker one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from . import rules
from .aws_names import SDK
from .aws_profile import region_of_profile
from .parse import allowed, parse
from .predecessor import IGNORED
from .schema import MASK, Field, fields
from .sections.aws import AWSSettings
from .sections.sandbox import never_honoured
from .settings import FORMER_SECTIONS, SECTIONS, NoEffect, SDKEnviron, Settings

DEFAULT = "default"
COMMAND_LINE = "command line"
ENVIRONMENT = "environment"
_LONGEST_SHOWN = 80
_REGION = "AWS_REGION"


class SettingsError(Exception):
    """Settings that cannot be used: `problems` has one line for each, the message has all."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        head = "1 setting is wrong:" if count == 1 else f"{count} settings are wrong:"
        super().__init__("\n  ".join((head, *self.problems)))


class _SettingsSource(msgspec.Struct, frozen=True):
    """Raw values by upper-case name."""

    label: str
    values: Mapping[str, object]


def load_settings(
    config_file: Path | None = None,
    overrides: Mapping[str, str] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    env_file: Path | None = Path(".env"),
) -> Settings:
    """Loads the effective settings.

    `overrides` are command line options by environment name; `environ` is the process's environment
    unless given. A missing `env_file` is no error, a missing `config_file` is.

    Raises:
        SettingsError: Something is wrong; the message lists everything that is.
    """
    sections = {name: fields(cls) for name, cls in SECTIONS.items()}
    known = {f.name: f for declared in sections.values() for f in declared}
    aliases = {alias for f in known.values() for alias in f.setting.aliases}
    names = frozenset((*known, *aliases, *IGNORED))
    problems: list[str] = []
    warnings: list[str] = []

    sdk_environ = SDKEnviron()
    sources = [
        _SettingsSource(COMMAND_LINE, _folded(overrides or {})),
        _SettingsSource(ENVIRONMENT, _folded(os.environ if environ is None else environ)),
    ]
    problems += _unknown(sources[0], names)
    if env_file is not None:
        dotenv = _read_env_file(env_file, problems)
        sources.append(dotenv)
        warnings += _unknown(dotenv, names | SDK)
        sdk_environ |= {n: str(v) for n, v in dotenv.values.items() if n in SDK and v}
    if config_file is not None:
        sources.append(_read_toml(config_file, sections, names, problems))

    origins: dict[str, str] = {}
    loaded: dict[str, dict[str, Any]] = {}
    for section, declared in sections.items():
        loaded[section] = {}
        for field in declared:
            value, origins[field.name] = _resolve(field, sources, problems)
            loaded[section][field.attribute] = value
    if origins[_REGION] == DEFAULT:
        _take_region_of_profile(loaded["aws"], origins, sources[1].values, sdk_environ)
    settings: dict[str, Any] = {name: SECTIONS[name](**loaded[name]) for name in SECTIONS}
    _check_credentials(settings["aws"], origins, problems, warnings)
    if problems:
        raise SettingsError(problems)
    warnings += never_honoured(settings["sandbox"])
    return Settings(
        **settings,
        sources=origins,
        warnings=tuple(warnings),
        no_effect=tuple(_without_effect(known, origins, sources)),
        sdk_environ=sdk_environ,
    )


def _folded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns values by upper-case name; of two spellings the upper-case one counts."""
    given = {name: value for name, value in values.items() if value is not None}
    folded = {name.upper(): value for name, value in given.items()}
    return folded | {name: value for name, value in given.items() if name == name.upper()}


def _read_env_file(path: Path, problems: list[str]) -> _SettingsSource:
    try:
        # A directory is what Docker makes of a bind mount whose source is missing.
        if not path.exists() or path.is_dir():
            return _SettingsSource(path.name, {})
        from dotenv import dotenv_values  # noqa: PLC0415  # most deployments have no .env

        # Interpolates ${NAME}, as the predecessor did; utf-8-sig: Windows editors write a mark.
        return _SettingsSource(path.name, _folded(dotenv_values(path, encoding="utf-8-sig")))
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path} cannot be read: {_reason(error)}")
        return _SettingsSource(path.name, {})


def _read_toml(
    path: Path,
    sections: Mapping[str, list[Field]],
    names: frozenset[str],
    problems: list[str],
) -> _SettingsSource:
    import tomllib  # noqa: PLC0415  # only who has a TOML file pays for its parser

    values: dict[str, object] = {}
    try:
        document = tomllib.loads(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        problems.append(f"{path} cannot be read: {_reason(error)}")
        return _SettingsSource(path.name, values)

    def keep(name: str, key: str, value: object) -> None:
        if name in values:
            problems.append(f"{key} (from {path.name}) sets {name}, which is set there already")
        values[name] = value

    for key, value in document.items():
        now = FORMER_SECTIONS.get(key, (key,))
        if sections.keys() >= {*now} and isinstance(value, dict):
            by_attribute = {f.attribute: f.name for one in now for f in sections[one]}
            for attribute, inner in value.items():
                if attribute in by_attribute:
                    keep(by_attribute[attribute], f"{key}.{attribute}", inner)
                else:
                    hint = _did_you_mean(attribute.lower(), by_attribute)
                    problems.append(f"{key}.{attribute} (from {path.name}) is not a setting{hint}")
        elif key.upper() in names:
            keep(key.upper(), key, value)
        elif key in sections:
            problems.append(f"{key} (from {path.name}) is a section; write [{key}]")
        else:
            hint = _did_you_mean(key.lower(), (*map(str.lower, names), *sections))
            problems.append(f"{key} (from {path.name}) is not a setting{hint}")
    return _SettingsSource(path.name, values)


def _resolve(field: Field, sources: list[_SettingsSource], problems: list[str]) -> tuple[Any, str]:
    for name in (field.name, *field.setting.aliases):
        for source in sources:
            if name in source.values:
                raw = source.values[name]
                try:
                    return parse(field, raw), source.label
                except ValueError as error:
                    detail = f"; {error}" if str(error) else ""
                    problems.append(
                        f"{name} = {_shown(field, raw)} (from {source.label}){detail}; "
                        f"allowed: {allowed(field)}"
                    )
                    return raw, source.label  # counts as given; the load fails anyway
    return field.default, DEFAULT


def _take_region_of_profile(
    aws: dict[str, Any],
    origins: dict[str, str],
    environ: Mapping[str, object],
    sdk_environ: Mapping[str, str],
) -> None:
    """Takes the region of the AWS profile, as AWS's own tools do, where no setting names one."""
    known = {**sdk_environ, **{name: str(value) for name, value in environ.items()}}
    if aws["profile"]:
        known["AWS_PROFILE"] = aws["profile"]
    found = region_of_profile(known)
    if found is not None and rules.REGION.canonical(found[0]):
        aws["region"], origins[_REGION] = found[0], f"the AWS profile {found[1]}"


def _shown(field: Field, raw: object) -> str:
    """Returns a raw value for an error message, masked if it may be secret."""
    rule = field.setting.rule
    if field.setting.secret or (rule is not None and rule.hides):
        return MASK
    text = repr(field.masked(raw))
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."


def _check_credentials(
    aws: AWSSettings, origins: Mapping[str, str], problems: list[str], warnings: list[str]
) -> None:
    key_id, secret, token = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
    if aws.access_key_id and not aws.secret_access_key:
        problems.append(f"{secret} is missing, but {key_id} is set (from {origins[key_id]})")
    if aws.secret_access_key and not aws.access_key_id:
        problems.append(f"{key_id} is missing, but {secret} is set (from {origins[secret]})")
    if aws.access_key_id and aws.session_token and origins[key_id] != origins[token]:
        warnings.append(
            f"{token} is from {origins[token]} but {key_id} from {origins[key_id]}: do they belong "
            "together?"
        )


def _unknown(source: _SettingsSource, names: frozenset[str]) -> Iterable[str]:
    for name in source.values:
        if name in names:
            continue
        hint = _did_you_mean(name, names)
        yield f"{name} (from {source.label}) is not a setting of this proxy{hint}"


def _without_effect(
    known: Mapping[str, Field], origins: Mapping[str, str], sources: list[_SettingsSource]
) -> Iterable[NoEffect]:
    for name, field in known.items():
        if field.setting.no_effect and origins[name] != DEFAULT:
            yield NoEffect(name, origins[name], field.setting.no_effect)
    for name, reason in IGNORED.items():
        for source in sources:
            if name in source.values:
                yield NoEffect(name, source.label, f"accepted and ignored: {reason}")
                break


def _did_you_mean(name: str, candidates: Iterable[str]) -> str:
    import difflib  # noqa: PLC0415  # only for a mistake

    close = difflib.get_close_matches(name, sorted(candidates), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
