"""What Bedrock refuses although models.toml allows it: learned from a 400, or said by the operator.

A model may lose or lack a beta flag, a field or a service tier before any table says so. The
refusal names it (`context_management: Extra inputs are not permitted`, `invalid beta flag`): it is
left out, the request is tried once more, and the next ones do without from the start. Where the
proxy can do itself what a flag was for, it does.
Source: public issue threads about Claude on Bedrock.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from ..errors import InvalidRequestError, UpstreamRefusal, rule_for
from ..protocol.messages import MessagesRequest
from ..protocol.terms import Terms
from ..upstream.base import Call
from .dialects import Conversion, Wanted, convert
from .routing import Target, base_model_id

_log = logging.getLogger("anthropic_bedrock_proxy.verdicts")
_EXTRA: Final = re.compile(r"([A-Za-z_][\w.\-]*): Extra inputs are not permitted")
_EXTRANEOUS: Final = re.compile(r"#/?([\w/\-]*): extraneous key \[([\w\-]+)\] is not permitted")
_INVALID_FLAG: Final = re.compile(r"invalid beta flag|anthropic[-_]beta", re.IGNORECASE)
_TIER: Final = re.compile(r"service[ _-]?tier", re.IGNORECASE)
_FLAG: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)+-20\d{2}-?\d{2}-?\d{2}")
# Fields of Anthropic's API that a request can do without. Anything else that is refused is the
# client's mistake, and the client must hear of it.
_OPTIONAL: Final = frozenset(
    "allowed_callers block_binding cache_control caller citations context display "
    "disable_parallel_tool_use eager_input_streaming effort is_error metadata parsed_output scope "
    "speed strict task_budget title toolset_name transformations ttl user_profile_id".split()
)
# Fields that stand for a feature with a flag: without it the proxy does the thing itself.
_FEATURES: Final = {
    "context_management": "context_management",
    "defer_loading": "defer_loading",
    "input_examples": "input_examples",
}
_BETAS: Final = "anthropic_beta"
_BETA_HEADER: Final = "anthropic-beta"
_decode: Any = msgspec.json.Decoder(float_hook=msgspec.Raw).decode
_encode = msgspec.json.Encoder().encode
Path = tuple[str, ...]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a model on a dialect does not take."""

    model: str  # base model id, or *
    dialect: str  # or *
    kind: str  # beta | field | tier
    name: str  # a flag, a dotted path with * for numbers, or a tier
    allowed: bool = False  # True: the operator says that it does take it


class _Known(msgspec.Struct):
    flags: set[str]
    allowed: set[str]
    fields: set[Path]
    tiers: set[str]


_KINDS: Final = _Known.__struct_fields__


class Verdicts:
    """Verdicts by model and dialect; without any, nothing is looked up."""

    def __init__(
        self,
        needed_for: Mapping[str, str],
        *,
        learned: Callable[[Verdict], None] = lambda _: None,
    ) -> None:
        """`needed_for` is the table of flags by feature; `learned` hears of each new verdict."""
        self._needed_for = needed_for
        self._learned = learned
        self._known: dict[tuple[str, str], _Known] = {}
        self._own: list[Verdict] = []
        self.count = 0  # refusals that were learned from, for metrics

    def replace_stored(self, verdicts: Iterable[Verdict]) -> None:
        """Takes over what the store holds; what this process learned stays."""
        self._known.clear()
        for verdict in (*self._own, *verdicts):
            self._add(verdict)

    def convert(self, request: MessagesRequest, target: Target, wanted: Wanted) -> Conversion:
        """Converts for a target with what is known of it. Raises `InvalidRequestError`."""
        if not self._known or (known := self._find(target)) is None:
            return convert(request, target, wanted)
        capabilities = target.capabilities
        changed = msgspec.structs.replace(
            capabilities,
            betas=(capabilities.betas | known.allowed) - known.flags,
            on_use=capabilities.on_use - known.flags,
        )
        if wanted.terms.service_tier in known.tiers:
            terms = msgspec.structs.replace(wanted.terms, service_tier="default")
            wanted = msgspec.structs.replace(wanted, terms=terms)
        conversion = convert(request, msgspec.structs.replace(target, capabilities=changed), wanted)
        if not known.fields:
            return conversion
        tree = _decode(conversion.call.body)
        removed = [".".join(path) for path in known.fields if _strip(tree, path)]
        call = msgspec.structs.replace(conversion.call, body=_encode(tree))
        return msgspec.structs.replace(
            conversion, call=call, dropped=[*conversion.dropped, *removed]
        )

    def learn(self, target: Target, call: Call, terms: Terms, refusal: UpstreamRefusal) -> bool:
        """Whether something new was learned, so that another attempt may succeed."""
        if rule_for(refusal).error is not InvalidRequestError:
            return False
        model = base_model_id(target.bedrock_model_id)
        new = False
        for kind, name in self._read(refusal.message, call, terms):
            verdict = Verdict(model=model, dialect=target.dialect, kind=kind, name=name)
            if self._add(verdict):
                new = True
                self.count += 1
                self._own.append(verdict)
                self._learned(verdict)
                _log.warning(
                    "%s on %s does not take the %s %s: left out from now on",
                    *(model, target.dialect, kind, name),
                )
        return new

    def _read(self, message: str, call: Call, terms: Terms) -> Iterable[tuple[str, str]]:
        """(kind, name) of what a refusal is about."""
        if terms.service_tier != "default" and _TIER.search(message):
            yield "tier", terms.service_tier
        paths = [match[1] for match in _EXTRA.finditer(message)]
        paths += [
            ".".join(filter(None, (*match[1].split("/"), match[2])))
            for match in _EXTRANEOUS.finditer(message)
        ]
        for path in paths:
            segments = tuple("*" if part.isdecimal() else part for part in path.split("."))
            feature = self._needed_for.get(_FEATURES.get(segments[-1], ""))
            if feature is not None:
                yield "beta", feature
            elif segments[-1] in _OPTIONAL:
                yield "field", ".".join(segments)
        if not paths and _INVALID_FLAG.search(message):
            sent = _sent_flags(call)
            named = [flag for flag in _FLAG.findall(message) if flag in sent]
            # AWS seldom says which one: then all of them are suspects.
            for flag in named or sent:
                yield "beta", flag

    def _find(self, target: Target) -> _Known | None:
        model = base_model_id(target.bedrock_model_id)
        keys = ((model, target.dialect), (model, "*"), ("*", target.dialect), ("*", "*"))
        found = [known for key in keys if (known := self._known.get(key)) is not None]
        if not found:
            return None
        return _Known(
            *(set[Any]().union(*(getattr(known, name) for known in found)) for name in _KINDS)
        )

    def _add(self, verdict: Verdict) -> bool:
        key = (verdict.model, verdict.dialect)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = _Known(set(), set(), set(), set())
        name: Any = verdict.name
        if verdict.allowed:
            into: set[Any] = known.allowed
        elif verdict.kind == "field":
            into, name = known.fields, tuple(verdict.name.split("."))
        else:
            into = known.flags if verdict.kind == "beta" else known.tiers
        if name in into:
            return False
        into.add(name)
        return True


def _sent_flags(call: Call) -> list[str]:
    for name, value in call.headers:
        if name == _BETA_HEADER:
            return value.split(",")
    tree = _decode(call.body)
    extra = tree.get("additionalModelRequestFields")
    flags = tree.get(_BETAS) or (extra.get(_BETAS) if isinstance(extra, dict) else None)
    return list(flags or ())


def _strip(node: Any, path: Path) -> bool:
    """Removes what `path` leads to, wherever its `*` matches."""
    head, rest = path[0], path[1:]
    if isinstance(node, list):
        return head == "*" and any([_strip(item, rest) for item in node])
    if not isinstance(node, dict):
        return False
    if not rest:
        return node.pop(head, None) is not None
    # Bedrock's paths name the kind of a block or tool between its index and the field.
    if head in (node.get("type"), "custom") and _strip(node, rest):
        return True
    return head in node and _strip(node[head], rest)
