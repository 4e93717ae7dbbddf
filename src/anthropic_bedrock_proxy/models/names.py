"""The names of models, and what they stand for.

A name is looked up in this order: the store's map (`models map`), the operator's
DEFAULT_MODEL_MAPPING, the fetched map (MODEL_MAPPING_SYNC_URL), Anthropic ids and aliases (a `[1m]`
suffix is ignored: the window is the model's own), Bedrock ids with or without an inference profile
prefix, ARNs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from .geography import base_model_id
from .table import Model, ModelTable

_LARGE_CONTEXT_SUFFIX: Final = "[1m]"
_LONGEST_TYPED: Final = 100  # characters of a name that a person may have mistyped
# Others are no names of Bedrock's, whatever they begin with: nobody is asked for them.
_ID: Final = re.compile(r"arn:[!-~]+|(?!arn:)[A-Za-z0-9._:-]+")


class ModelNames:
    """Every name that is known, and the rules for those that are not."""

    def __init__(self, table: ModelTable, configured: Mapping[str, str]) -> None:
        """`configured` are the operator's names in the settings."""
        self._families = table.families
        self._configured = configured
        self._stored: Mapping[str, str] = {}
        self._fetched: Mapping[str, str] = {}
        self._profile_models: dict[str, str] = {}  # application profile ARN -> base id
        # Anthropic ids and aliases.
        self.by_name = {name: m for m in table.model for name in (m.id, *m.aliases)}
        self._by_bedrock_id = {
            name: m for m in table.model for name in (m.bedrock, m.mantle or m.bedrock)
        }
        # Any that may turn out to be behind an application profile.
        self.possible: tuple[str, ...] = (*self.by_name, *self._by_bedrock_id, *table.families)

    @property
    def mapping(self) -> dict[str, str]:
        """Requested name -> what it stands for: of the store, the settings, the fetched map."""
        return {**self._fetched, **self._configured, **self._stored}

    def replace_stored(self, mapping: Mapping[str, str]) -> None:
        """Takes over the store's map."""
        self._stored = dict(mapping)

    def replace_fetched(self, mapping: Mapping[str, str]) -> None:
        """Takes over the fetched map, which stands under what the operator says."""
        self._fetched = dict(mapping)

    def learn_profile(self, arn: str, base_id: str) -> None:
        """Learns which model Bedrock said is behind an application inference profile."""
        self._profile_models[arn] = base_id

    def mapped(self, requested: str) -> str:
        """Returns what a requested name is mapped to, else the name without its suffix."""
        plain = plain_name(requested)
        for mapping in (self._stored, self._configured, self._fetched):
            for name in (requested, plain):
                if name in mapping:
                    return plain_name(mapping[name])
        return plain

    def find(self, name: str) -> Model | None:
        """Finds the model behind an Anthropic id, an alias or a Bedrock id."""
        return self.by_name.get(name) or self._by_bedrock_id.get(base_model_id(name))

    def behind(self, name: str) -> Model | None:
        """Finds the model behind any name, ARNs of profiles included as far as they are known."""
        return self.identify(name)[0]

    def identify(self, name: str) -> tuple[Model | None, str | None]:
        """Identifies (model, base id); a base id of None: the name is not known at all."""
        model = self.by_name.get(name)
        if model is not None:
            return model, model.bedrock
        if not _ID.fullmatch(name):
            return None, None
        base = base_model_id(self._profile_models.get(name, name))
        if base.startswith("arn:"):
            inner = base_model_id(base.rpartition("/")[2])  # inference-profile/us.anthropic.…
            model = self._by_bedrock_id.get(inner)
            return model, model.bedrock if model else base
        model = self._by_bedrock_id.get(base)
        if model is not None:
            return model, model.bedrock
        return None, base if self.family(base) is not None else None

    def family(self, base: str) -> str | None:
        """Finds the generation of an id that the table does not list, by its longest prefix."""
        prefixes = [prefix for prefix in self._families if base.startswith(prefix)]
        return self._families[max(prefixes, key=len)] if prefixes else None

    def did_you_mean(self, name: str) -> str:
        """Returns a question for who mistyped a model's name; empty if no name is like it."""
        import difflib  # noqa: PLC0415  # only for a mistake

        close = difflib.get_close_matches(name[:_LONGEST_TYPED], self.possible, n=1)
        return f"; did you mean {close[0]}?" if close else ""

    def is_opaque(self, name: str) -> bool:
        """Tells whether it is an application profile of which Bedrock has not said the model."""
        profile = name.startswith("arn:") and ":application-inference-profile/" in name
        return profile and name not in self._profile_models

    def is_listed(self, requested: str) -> bool:
        """Tells whether the operator, the table or Bedrock itself has named the model."""
        plain = plain_name(requested)
        known = (
            self.by_name,
            self._stored,
            self._configured,
            self._fetched,
            self._profile_models,
        )
        return base_model_id(plain) in self._by_bedrock_id or any(
            name in names for name in (requested, plain) for names in known
        )

    def listed_ids(self) -> frozenset[str]:
        """Returns the Bedrock ids that they have named, without profile prefixes."""
        named = map(base_model_id, self.mapping.values())
        return frozenset((*self._by_bedrock_id, *self._profile_models, *named))


def plain_name(requested: str) -> str:
    """Returns a name without the suffix by which Claude Code asks for a large window."""
    return requested.removesuffix(_LARGE_CONTEXT_SUFFIX)
