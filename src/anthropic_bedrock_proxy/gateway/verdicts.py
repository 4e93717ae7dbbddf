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
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, cast

import msgspec

from ..errors import InvalidRequestError, UpstreamRefusal, rule_for
from ..protocol.capabilities import Capabilities
from ..protocol.messages import MessagesRequest
from ..protocol.terms import Terms
from ..upstream.base import Call
from .dialects import Conversion, Wanted, convert
from .routing import Target, base_model_id

_log = logging.getLogger("anthropic_bedrock_proxy.verdicts")
# What a refusal begins with is Bedrock's; what follows may be the client's own words, of any
# length: hence possessive.
_PREFIX: Final = re.compile(
    r"(?:The model returned the following errors: |Malformed input request: |[,;\s])*+"
)
_EXTRA: Final = re.compile(r"([A-Za-z_][\w.\-]*+): Extra inputs are not permitted")
_EXTRANEOUS: Final = re.compile(r"#/?([\w/\-]*+): extraneous key \[([\w\-]++)\] is not permitted")
_INVALID_FLAG: Final = re.compile(
    r"invalid beta flag|Unexpected value\(s\) |`?anthropic[-_]beta", re.IGNORECASE
)
_TIER: Final = re.compile(r"service[ _-]?tier", re.IGNORECASE)
# Fields of Anthropic's API that a request can do without. Anything else that is refused is the
# client's mistake, and the client must hear of it.
_OPTIONAL: Final = frozenset(
    (
        "allowed_callers",
        "block_binding",
        "cache_control",
        "caller",
        "citations",
        "context",
        "display",
        "disable_parallel_tool_use",
        "eager_input_streaming",
        "effort",
        "is_error",
        "metadata",
        "parsed_output",
        "scope",
        "speed",
        "strict",
        "task_budget",
        "title",
        "toolset_name",
        "transformations",
        "ttl",
        "user_profile_id",
    )
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
_MAX_REMEMBERED: Final = 1024


Kind = Literal["beta", "field", "tier"]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a model on a dialect does not take."""

    model: str  # base model id, or *
    dialect: str  # or *
    kind: Kind
    name: str  # a flag, a dotted path with * for numbers, or a tier
    allowed: bool = False  # True: the operator says that it does take it


class _Known(msgspec.Struct):
    """What is known of one model on one dialect."""

    refused: dict[str, set[str]]  # by kind
    allowed: set[str]  # flags

    def capabilities(self, capabilities: Capabilities) -> Capabilities:
        """The table's, as they turned out to be."""
        flags = self.refused["beta"]
        return msgspec.structs.replace(
            capabilities,
            betas=(capabilities.betas | self.allowed) - flags,
            on_use=capabilities.on_use - flags,
        )


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
        self._own: list[Verdict] = []
        self._stored: list[Verdict] = []
        self._known: dict[tuple[str, str], _Known | None] = {}
        self.count = 0  # refusals that were learned from, for metrics

    def replace_stored(self, verdicts: Iterable[Verdict]) -> None:
        """Takes over what the store holds. It beats what this process learned."""
        self._stored = list(verdicts)
        self._known.clear()

    def release(self, verdict: Verdict) -> None:
        """The store holds it now: who removes it there is obeyed here."""
        if verdict in self._own:
            self._own.remove(verdict)
            self._known.clear()

    def capabilities(self, target: Target) -> Capabilities:
        """What the target's model takes, as far as is known."""
        if not (self._own or self._stored) or (known := self._find(target)) is None:
            return target.capabilities
        return known.capabilities(target.capabilities)

    def convert(self, request: MessagesRequest, target: Target, wanted: Wanted) -> Conversion:
        """Converts for a target with what is known of it. Raises `InvalidRequestError`."""
        if not (self._own or self._stored) or (known := self._find(target)) is None:
            return convert(request, target, wanted)
        changed = known.capabilities(target.capabilities)
        if wanted.terms.service_tier in known.refused["tier"]:
            terms = msgspec.structs.replace(wanted.terms, service_tier="default")
            wanted = msgspec.structs.replace(wanted, terms=terms)
        conversion = convert(request, msgspec.structs.replace(target, capabilities=changed), wanted)
        if not known.refused["field"]:
            return conversion
        tree = _decode(conversion.call.body)
        roots = (tree, tree.get("additionalModelRequestFields"))  # Claude's own fields on Converse
        removed = [
            path
            for path in sorted(known.refused["field"])
            if True in [_strip(root, path.split(".")) for root in roots]
        ]
        call = msgspec.structs.replace(conversion.call, body=_encode(tree))
        return msgspec.structs.replace(
            conversion, call=call, dropped=[*conversion.dropped, *removed]
        )

    def learn(
        self,
        request: MessagesRequest,
        target: Target,
        wanted: Wanted,
        call: Call,
        refusal: UpstreamRefusal,
    ) -> bool:
        """Whether another attempt would send something else than `call`, which was refused.

        So it is after a new lesson, and after one that another request has learned meanwhile.
        """
        if rule_for(refusal).error is not InvalidRequestError:
            return False
        model = base_model_id(target.bedrock_model_id)
        for kind, name in self._read(refusal.message, call, wanted.terms):
            verdict = Verdict(model=model, dialect=target.dialect, kind=kind, name=name)
            if verdict not in self._own and not self._is_settled(verdict):
                self.count += 1
                self._own.append(verdict)
                self._known.clear()
                self._learned(verdict)
                _log.warning(
                    "%s on %s does not take the %s %s: left out from now on",
                    *(model, target.dialect, kind, name),
                )
        if not (self._own or self._stored):
            return False
        try:
            again = self.convert(request, target, wanted).call
        except InvalidRequestError:
            return True  # and the next attempt says what cannot be done without
        return (again.body, again.headers) != (call.body, call.headers)

    def _is_settled(self, verdict: Verdict) -> bool:
        """Whether the store knows of it: another attempt would send the same again."""
        return any(
            (stored.kind, stored.name) == (verdict.kind, verdict.name)
            and stored.model in (verdict.model, "*")
            and stored.dialect in (verdict.dialect, "*")
            for stored in self._stored
        )

    def _read(self, message: str, call: Call, terms: Terms) -> Iterable[tuple[Kind, str]]:
        """(kind, name) of what a refusal is about."""
        suspects = list(self._suspects(message, call, terms))
        if suspects:
            written = _written(call)
            for kind, name, echoes in suspects:
                # A refusal may repeat what the client wrote, and nobody may teach the proxy so.
                if not any(echo in written for echo in echoes):
                    yield kind, name

    def _suspects(
        self, message: str, call: Call, terms: Terms
    ) -> Iterable[tuple[Kind, str, Sequence[str]]]:
        """(kind, name, what the body would hold if these were the client's words)."""
        if terms.service_tier != "default" and (tier := _TIER.search(message)):
            yield "tier", terms.service_tier, (tier[0],)
        paths = list(_refused_paths(message))
        for parts in paths:
            # A key with dots in it reads like a path.
            echoes = ['"' + ".".join(parts[start:]) for start in range(len(parts) - 1)]
            echoes.append(f'"{parts[-1]}: ')
            segments = tuple("*" if part.isdecimal() else part for part in parts)
            feature = self._needed_for.get(_FEATURES.get(segments[-1], ""))
            if feature is not None:
                yield "beta", feature, echoes
            elif segments[-1] in _OPTIONAL:
                yield "field", ".".join(segments), echoes
        if not paths and (words := _INVALID_FLAG.match(message, _begin(message, 0))):
            sent = _sent_flags(call)
            named = [flag for flag in sent if flag in message]
            # AWS seldom says which one. Those that no field of the request needs are suspected
            # first: without the others, the proxy has to do something itself.
            idle = [flag for flag in sent if flag not in self._needed_for.values()]
            for flag in named or idle or sent:
                yield "beta", flag, (f'"{words[0]}',)

    def _find(self, target: Target) -> _Known | None:
        key = (base_model_id(target.bedrock_model_id), target.dialect)
        if key not in self._known:
            if len(self._known) >= _MAX_REMEMBERED:
                self._known.clear()
            self._known[key] = self._judge(*key)
        return self._known[key]

    def _judge(self, model: str, dialect: str) -> _Known | None:
        """Everything that concerns a model on a dialect; later verdicts beat earlier ones."""
        known = _Known({"beta": set(), "field": set(), "tier": set()}, set())
        concerned = False
        for verdict in (*self._own, *self._stored):
            if verdict.model in (model, "*") and verdict.dialect in (dialect, "*"):
                concerned = True
                refused = known.refused[verdict.kind]
                if not verdict.allowed:
                    refused.add(verdict.name)
                    continue
                refused.discard(verdict.name)
                if verdict.kind == "beta":
                    known.allowed.add(verdict.name)
        return known if concerned else None


def _begin(message: str, position: int) -> int:
    """Where Bedrock's own words begin."""
    return cast(re.Match[str], _PREFIX.match(message, position)).end()


def _refused_paths(message: str) -> Iterable[list[str]]:
    """The paths that a refusal begins with."""
    position = _begin(message, 0)
    while True:
        if match := _EXTRA.match(message, position):
            yield match[1].split(".")
        elif match := _EXTRANEOUS.match(message, position):
            yield [*filter(None, match[1].split("/")), match[2]]
        else:
            return
        position = _begin(message, match.end())


def _written(call: Call) -> str:
    """The body without the proxy's own keys, written in one way."""
    tree = _decode(call.body)
    for keys in (tree, tree.get("additionalModelRequestFields")):
        if isinstance(keys, dict):
            for name in (_BETAS, "serviceTier"):
                keys.pop(name, None)
    return _encode(tree).decode()


def _sent_flags(call: Call) -> list[str]:
    for name, value in call.headers:
        if name == _BETA_HEADER:
            return value.split(",")
    tree = _decode(call.body)
    extra = tree.get("additionalModelRequestFields")
    flags = tree.get(_BETAS) or (extra.get(_BETAS) if isinstance(extra, dict) else None)
    return list(flags or ())


def _strip(node: Any, path: Sequence[str]) -> bool:
    """Removes what `path` leads to, wherever its `*` matches."""
    head, rest = path[0], path[1:]
    if isinstance(node, list):
        return head == "*" and True in [_strip(item, rest) for item in node]
    if not isinstance(node, dict):
        return False
    if not rest:
        return node.pop(head, None) is not None
    # Bedrock's paths name the kind of a block or tool between its index and the field.
    if head in (node.get("type"), "custom") and _strip(node, rest):
        return True
    return head in node and _strip(node[head], rest)
