"""A whole installation of LiteLLM as a plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ...models.names import ModelNames
from ..plan import MigrationError, MigrationPlan
from ..shape import is_empty, mapping
from .callers import plan_callers
from .deployments import read_deployments
from .exports import LiteLLMExports
from .routing import plan_routing
from .settings import SECTIONS, plan_settings

# One of these is in every config.yaml that has an effect.
_SIGNS: Final = ("model_list", *SECTIONS)


def convert(
    config: Any, exports: LiteLLMExports, names: ModelNames, environ: Mapping[str, str]
) -> MigrationPlan:
    """Plans what a config.yaml and exports become here.

    `environ` is for regions and models that the file names by variables; variables that the file
    itself sets take precedence. Raises `MigrationError`.
    """
    document = mapping(config, "config.yaml")
    if all(is_empty(document.get(name)) for name in _SIGNS):
        raise MigrationError(f"config.yaml: has none of {', '.join(_SIGNS)}")
    plan = MigrationPlan()
    own = mapping(document.get("environment_variables"), "environment_variables")
    known = {**environ, **{name: str(value) for name, value in own.items()}}
    deployments = read_deployments(document, names, known, plan)
    offered = plan_routing(document, deployments, plan)
    plan_settings(document, plan)
    plan_callers(exports, offered, plan)
    return plan
