"""The catalog of the store and what Bedrock teaches, kept up to date while a worker runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Final, Protocol

from ..gateway.catalog_refresh import CatalogRefresh
from ..gateway.overrides.overrides import Overrides
from ..models.registry import Registry
from ..store.base.catalog import (
    CapabilityOverride,
    Catalog,
    PriceRecord,
    ProviderRecord,
    SyncedPrices,
)
from ..store.base.errors import StoreError
from ..upstream.profiles import DescribesProfiles, ProfileModels

_BEGIN_SECONDS: Final = 1.0  # of a start, while clients wait
_log = logging.getLogger("anthropic_bedrock_proxy.catalog")


class Control(DescribesProfiles, Protocol):
    """The control plane, as far as requests need it."""

    async def close(self) -> None:
        """Lets go of its connections."""
        ...


class CatalogUpdates:
    """Keeps registry, overrides and providers at the state of the store; begin it, close it."""

    def __init__(
        self,
        catalog: Catalog,
        registry: Registry,
        *,
        interval_seconds: float,
        new_control: Callable[[], Control],
        on_providers: Callable[[Sequence[ProviderRecord]], None],
        on_prices: Callable[[Sequence[PriceRecord], SyncedPrices | None], None],
    ) -> None:
        """`new_control` is called when the first application inference profile is asked for."""
        self.overrides = Overrides(registry.betas.needed_for, learned=self._learned)
        self._catalog = catalog
        self._refresh = CatalogRefresh(
            catalog,
            registry,
            on_overrides=self.overrides.replace_stored,
            on_providers=on_providers,
            on_prices=on_prices,
            interval_seconds=interval_seconds,
        )
        self._control = _OnDemand(new_control)
        self._profile_models = ProfileModels(self._control, registry.learn_profile)
        self._writing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self) -> None:
        """Reads the catalog once; a store that does not answer, or not soon, is asked again."""
        try:
            async with asyncio.timeout(_BEGIN_SECONDS):
                await self._refresh.refresh_once()
        except (StoreError, TimeoutError) as error:
            reason = str(error) or "no answer in time"
            _log.warning("the catalog cannot be read yet: %s", reason)
        self._run(self._refresh.run())

    async def resolve_profile(self, arn: str, key_id: str) -> None:
        """Learns for a key what is behind an application inference profile. Never raises."""
        await self._profile_models.resolve(arn, key_id)

    async def close(self) -> None:
        """Stops asking and polling."""
        await self._profile_models.close()
        await self._control.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _learned(self, override: CapabilityOverride) -> None:
        self._run(self._remember(override))

    async def _remember(self, override: CapabilityOverride) -> None:
        try:
            async with self._writing:  # in the order in which they were learned
                await self._catalog.put_override(override)
                await self._refresh.refresh_once()
            self.overrides.release(override)
        except StoreError as error:
            _log.warning("only this worker knows what %s refused: %s", override.model, error)

    def _run(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _OnDemand:
    """A control plane that is built when it is first asked."""

    def __init__(self, new_control: Callable[[], Control]) -> None:
        self._new_control = new_control
        self._control: Control | None = None

    async def get_inference_profile(self, arn: str) -> str:
        """Asks the control plane, which is made at the first call: see `ControlPlane`."""
        if self._control is None:
            self._control = self._new_control()
        return await self._control.get_inference_profile(arn)

    async def close(self) -> None:
        if self._control is not None:
            await self._control.close()
