"""Calls of one token, one for each configured model and provider: is every gate before it open?"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from typing import Final

import msgspec

from ..aws.resolver.resolver import Resolver
from ..aws_errors import UpstreamRefusal, rule_for
from ..config import Settings
from ..diagnosis.checks import CheckResult, fail, ok, warn
from ..diagnosis.gates import OPEN, SOMETIMES, judged
from ..errors import ProxyError, RateLimitError
from ..gateway.conversion import ConversionOptions, convert
from ..models.chain_gaps import ChainGap, chain_gaps
from ..models.geography import prefix_of, serves
from ..models.registry import DEFAULT_PROVIDER, Registry, Target
from ..protocol.request.messages import parse_request
from ..protocol.request.policy import DEFAULT_POLICY
from ..store.base.catalog import ModelMapping
from ..store.base.errors import StoreError
from ..upstream.base import Deadlines, ModelCall
from ..upstream.providers import Providers
from .doctor_store import check_sqlite_store
from .models import make_registry
from .store import make_store

_NEWEST: Final = 3  # of the table, where the operator names no models
_AT_ONCE: Final = 8
_PAUSES: Final = (0.3, 0.7)  # before another try of what was throttled
_CALL_SECONDS: Final = 5.0
_ALL_SECONDS: Final = 9.0  # with what the store is asked first
_STORE_SECONDS: Final = 4.5  # DynamoDB needs credentials, and a process that looks them up
_SILENT: Final = fail(
    f"no answer in {_CALL_SECONDS:g} s",
    "see the line about the endpoint",
)
_NOT_CALLED: Final = warn(
    "not called: the calls of the others took all the time",
    "name it with --model, which is called first",
)
_VERSION: Final = "2023-06-01"


class ModelChecks:
    """The calls of an installation's models; `run` makes them."""

    def __init__(
        self,
        settings: Settings,
        providers: Providers,
        resolver: Resolver,
        *,
        seconds: float = _ALL_SECONDS,
    ) -> None:
        """`seconds` are those of all calls together; what is not called by then, is told."""
        self._seconds = seconds
        self._settings = settings
        self._providers = providers
        self._resolver = resolver
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def run(self, asked: Sequence[str]) -> list[CheckResult]:
        """Calls the configured models and those asked for; returns a line for each target."""
        last = asyncio.get_running_loop().time() + self._seconds
        registry = make_registry(self._settings, self._providers.regions)
        mappings, lines = await self._stored()  # the providers, too, before the routes are made
        registry.replace_stored({one.alias: one.bedrock_id for one in mappings})
        names = list(dict.fromkeys((*asked, *self._configured(mappings))))
        chosen = not names
        if chosen:
            names = self._newest(registry)
            known = "known" if lines else "configured"
            found = f"none is {known}: the newest of the table are called ({', '.join(names)})"
            lines.append(ok(found, mend="--model ID calls others"))
        lines += [_left_out(gap) for gap in chain_gaps(registry) if gap.provider]
        targets: dict[tuple[str, str], tuple[str, Target]] = {}
        for name in names:
            try:
                for target in registry.route(name).targets:
                    key = (target.provider, target.bedrock_model_id)
                    targets.setdefault(key, (name, target))
            except ProxyError as error:
                lines.append(_unknown(name, error))
        calls = (self._model(registry, name, target, last) for name, target in targets.values())
        called = await asyncio.gather(*calls)
        return [*lines, *(_as_warnings(called) if chosen else called)]

    def _newest(self, registry: Registry) -> list[str]:
        """Lists the newest models that have a profile for the region."""
        here = []
        for model in registry.models:
            with contextlib.suppress(ProxyError):  # not in INFERENCE_GEOGRAPHY
                if model.lifecycle == "active" and self._is_here(
                    registry.route(model.id).targets[0]
                ):
                    here.append(model.id)
        return here[:_NEWEST]

    def _region(self, target: Target) -> str:
        return self._providers.regions.get(target.provider, self._settings.aws.region)

    def _is_here(self, target: Target) -> bool:
        return serves(prefix_of(target.bedrock_model_id), self._region(target))

    def _configured(self, mappings: Sequence[ModelMapping]) -> list[str]:
        """Lists the names that the settings and the store give; a chain's * is no model."""
        chains = self._settings.failover.chains if self._settings.failover.enabled else {}
        return [
            *self._settings.models.default_model_mapping,
            *(one.alias for one in mappings),
            *(name for name in chains if name != "*"),
        ]

    async def _stored(self) -> tuple[Sequence[ModelMapping], list[CheckResult]]:
        """Reads the store's mappings and providers; makes and migrates no store."""
        path = self._settings.store.sqlite_path
        if path is not None:
            if not path.exists():
                return (), []
            if (await check_sqlite_store(path)).state != "ok":
                return _not_known("it is not as this version wants it")
        store = make_store(self._settings, self._resolver)
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                await store.open()
                self._providers.replace_stored(await store.catalog.providers())
                return await store.catalog.mappings(), []
        except TimeoutError:
            return _not_known(f"no answer in {_STORE_SECONDS:g} s")
        except StoreError as error:
            return _not_known(str(error))
        finally:
            await store.close()

    async def _model(
        self, registry: Registry, name: str, target: Target, last: float
    ) -> CheckResult:
        """Calls one target; gives up at `last`, a moment of the loop's clock."""
        where = "" if target.provider == DEFAULT_PROVIDER else f" at {target.provider}"
        if not self._is_here(target):
            return warn(
                f"{target.bedrock_model_id}: not called: {self._region(target)} has no such "
                "inference profile",
                "map the name to a profile of that region, or leave the provider out of its chain",
                name=f"model {name}{where}",
            )
        call = _call(registry, name, target)
        line = _NOT_CALLED
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(last), self._room:
                line = _SILENT  # from here on its time runs
                async with asyncio.timeout(_CALL_SECONDS):
                    line = await self._try(target, call)
        return msgspec.structs.replace(
            line, name=f"model {name}{where}", found=f"{target.bedrock_model_id}: {line.found}"
        )

    async def _try(self, target: Target, call: ModelCall) -> CheckResult:
        """Calls; what is throttled is tried again, for a busy model is no closed one."""
        for tries, pause in enumerate((*_PAUSES, None), 1):
            try:
                await self._providers[target.provider].call(call)
            except UpstreamRefusal as refusal:
                if pause is None or rule_for(refusal).error is not RateLimitError:
                    return judged(refusal, tries=tries)
                await asyncio.sleep(pause)
            else:
                return OPEN if tries == 1 else SOMETIMES
        raise AssertionError("the last try returns")


def _not_known(why: str) -> tuple[Sequence[ModelMapping], list[CheckResult]]:
    found = f"the mappings and providers of the store are not known: {why}"
    mend = "see the line about the store; --model ID calls a model all the same"
    return (), [warn(found, mend, name="stored models")]


def _as_warnings(called: Sequence[CheckResult]) -> Sequence[CheckResult]:
    """Returns lines of models that nobody asked for: no failures while one of them answers."""
    if all(line.state == "fail" for line in called):
        return called
    return [
        msgspec.structs.replace(line, state="warn") if line.state == "fail" else line
        for line in called
    ]


def _call(registry: Registry, name: str, target: Target) -> ModelCall:
    body = {"model": name, "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]}
    options = ConversionOptions(
        flags=[], rules=registry.betas, policy=DEFAULT_POLICY, stream=False, request_id="doctor"
    )
    call = convert(parse_request(json.dumps(body).encode(), _VERSION), target, options).call
    deadlines = Deadlines(max_attempts=1, first_byte_seconds=_CALL_SECONDS)
    return msgspec.structs.replace(call, deadlines=deadlines)


def _left_out(gap: ChainGap) -> CheckResult:
    mend = "leave it out of the chain, or give it there a model by PROVIDER=MODEL"
    return warn(gap.line(), mend, name=f"model {gap.chain} at {gap.provider}")


def _unknown(name: str, error: ProxyError) -> CheckResult:
    mend = "correct DEFAULT_MODEL_MAPPING, FAILOVER_CHAINS or `models map`"
    return fail(error.message, mend, name=f"model {name}")
