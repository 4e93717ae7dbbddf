"""All settings. Each is declared once, in `sections/`: attribute, type, default, name, doc, bounds.

The order here is the order of `config`, `.env.example` and the reference page. Names that the
predecessor had keep their meaning; a field that this version does not act on says so in
`no_effect`. Durations are in seconds, sizes in bytes, and the attribute ends with the unit.
"""

# Without `from __future__ import annotations`: the annotations are read as objects, not as text.
from collections.abc import Mapping

import msgspec

from .schema import Section, fields
from .sections.aws import AWSSettings, UpstreamSettings
from .sections.fetch import FetchSettings
from .sections.limits import BudgetSettings, LimitSettings
from .sections.models import FailoverSettings, ModelSettings
from .sections.sandbox import SandboxSettings
from .sections.server import AuthSettings, CORSSettings, ServerSettings, StreamingSettings
from .sections.store import StoreSettings, TableSettings
from .sections.sync import SyncSettings
from .sections.telemetry import TelemetrySettings
from .sections.web import WebSettings


class SDKEnviron(dict[str, str]):
    """Names and values for AWS's own code; shows the names only."""

    def __repr__(self) -> str:
        return f"SDKEnviron({', '.join(self)})"


class NoEffect(msgspec.Struct, frozen=True):
    """A setting that was given although this version does not act on it."""

    name: str
    source: str
    reason: str


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings, and where they came from.

    `sources` maps the name of every setting to "default", "command line", "environment" or the name
    of a file. `warnings` are lines for the operator. `sdk_environ` holds the variables of `.env`
    for AWS's own code (see `aws_names`).
    """

    server: ServerSettings = ServerSettings()
    aws: AWSSettings = AWSSettings()
    upstream: UpstreamSettings = UpstreamSettings()
    cors: CORSSettings = CORSSettings()
    auth: AuthSettings = AuthSettings()
    store: StoreSettings = StoreSettings()
    limits: LimitSettings = LimitSettings()
    budgets: BudgetSettings = BudgetSettings()
    streaming: StreamingSettings = StreamingSettings()
    models: ModelSettings = ModelSettings()
    sync: SyncSettings = SyncSettings()
    failover: FailoverSettings = FailoverSettings()
    fetch: FetchSettings = FetchSettings()
    sandbox: SandboxSettings = SandboxSettings()
    web: WebSettings = WebSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    tables: TableSettings = TableSettings()
    sources: Mapping[str, str] = {}
    warnings: tuple[str, ...] = ()
    no_effect: tuple[NoEffect, ...] = ()
    sdk_environ: SDKEnviron = SDKEnviron()


SECTIONS: dict[str, type[Section]] = {
    name: cls
    for name, cls in Settings.__annotations__.items()
    if isinstance(cls, type) and issubclass(cls, Section)
}


# Sections of earlier versions: their settings are found in these today.
FORMER_SECTIONS: Mapping[str, tuple[str, ...]] = {"features": ("sandbox", "web", "telemetry")}


def secret_names() -> frozenset[str]:
    """Returns the names of the settings that are secret, or are URLs that may hold a password."""
    declared = (field for section in SECTIONS.values() for field in fields(section))
    return frozenset(field.name for field in declared if field.setting.secret or field.setting.url)
