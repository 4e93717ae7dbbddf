"""The reason why a request was not answered, and what mends it: the last of its explanation.

A refusal of the proxy's own has a cause (`ProxyError.cause`); the table has a sentence for each. Of
a limit or a budget it says which one, how high it is, what was left, and which command changes it.
"""

from __future__ import annotations

from typing import Final

from ..aws_errors import AWS_ERRORS
from ..money import usd
from ..telemetry.request_log.record import RequestRecord
from .moments import timestamp
from .scopes import MASTER

# By the beginning of the cause; the first that fits is said.
_CAUSES: Final = {
    "limit:key/fetches": "Its key has too many URLs that wait to be fetched. Wait for them.",
    "key:missing": "It brought no API key. Send one as `x-api-key` or as a bearer.",
    "key:unknown": "Its API key is not known: look for typing errors, or for another proxy's key.",
    "key:guessing": "Too many unknown keys have come from its network address.",
    "key:metrics_token": "It asked for /metrics, and did not show METRICS_TOKEN.",
    "key:": "Its API key is not in use any more (`keys show`).",
    "model_not_allowed": "Its key may not use that model (`keys update --allow-model`).",
    "tool_not_allowed": "Its key may not use that tool (`keys update --allow-tool`).",
    "network_not_allowed": "Its key may not be used from that network (`keys update "
    "--allow-network`).",
    "no_provider": "Its key is bound to a provider that is not here, or is disabled (`providers "
    "list`, `keys update --provider`).",
    "no_room": "The executor keeps as many files of its key as it may (code execution).",
    "cooling": "Every target was being left alone after failures or throttling (failover).",
    "unavailable:store": "The store did not answer, and had to be asked (`doctor`).",
    "unavailable:limiter": "Limits could not be counted, as LIMITS_URL did not answer (`doctor`).",
    "unavailable:executor": "Sandboxes do not work: no image, no Docker, or no executor (`doctor`, "
    "`sandbox check`).",
    "unavailable:library": "A library is missing on the proxy.",
    "stopping": "The proxy was being stopped. Send it again.",
    "internal": "The proxy has a bug: its log tells where, under this request id. Report it.",
    "aws:Unreachable": "Bedrock could not be reached (`doctor` says where the way ends).",
    "aws:NoWay": "No connection to Bedrock can be made: DNS, TLS or the egress proxy (`doctor`).",
    "aws:NoCredentials": "The proxy had no credentials for AWS (`doctor`).",
    "aws:": "Bedrock failed, and went on so through all that was tried.",
}
# What a refusal of AWS's means, by the type of the error that it became; others: as above.
_REFUSALS: Final = {
    "invalid_request_error": "Bedrock does not accept what it asks for; the answer said what.",
    "permission_error": "AWS does not allow that to the proxy (`doctor` tells which gate is "
    "closed).",
    "not_found_error": "Bedrock does not have that model there (`doctor`, `models list`).",
    "rate_limit_error": "AWS throttled all that was tried. If that is often, ask for a higher "
    "quota (Service Quotas), or give the model a failover chain.",
}
_CREDENTIALS: Final = "AWS refuses the credentials of the proxy (`doctor`)."
# The same by the type of the error, where there is no cause.
_TYPES: Final = {
    "authentication_error": "It brought no key that may do this.",
    "permission_error": "Its key may not do this; the answer said what it lacks.",
    "not_found_error": "There is no such path, or nothing of that name or id.",
    "request_too_large": "Its body was larger than allowed (MAX_REQUEST_BYTES).",
    "api_error": "The proxy could not serve it: its log tells more.",
}
_UNKNOWN_MODEL: Final = "It asked for a model that is not known here (`models list`, `models map`)."
_NOT_ACCEPTED: Final = "The proxy could not accept what it asks for; the answer named the place."
# The option of `keys update`, `users update` and `teams update`, by the kind of limit.
_OPTIONS: Final = {
    "requests": "--rate-limit",
    "token-counts": "--rate-limit",
    "tokens": "--tpm-limit",
    "input-tokens": "--input-tpm-limit",
    "output-tokens": "--output-tpm-limit",
    "concurrency": "--concurrency-limit",
}


def reason_of(record: RequestRecord) -> str:
    """Returns why a request was not answered; nothing if it was."""
    line = record.line
    if line.cause == "budget_exceeded":
        return _budget(record)
    for beginning, why in _CAUSES.items():
        if line.cause.startswith(beginning):
            return _refused(record, why) if beginning == "aws:" else why
    if line.cause.startswith("limit:"):
        return _limit(record)
    if not line.error or record.upstream:
        return ""
    if line.error == "not_found_error" and line.model:
        return _UNKNOWN_MODEL
    return _TYPES.get(line.error, _NOT_ACCEPTED)


def _refused(record: RequestRecord, why: str) -> str:
    code = record.line.cause.removeprefix("aws:")
    rule = AWS_ERRORS.get(code)
    if rule is not None and rule.credentials:
        why = _CREDENTIALS
    return f"{_REFUSALS.get(record.line.error or '', why)} The last refusal was {code}."


def _limit(record: RequestRecord) -> str:
    owner, _, kind = record.line.cause.removeprefix("limit:").partition("/")
    said = f"It was over the limit of {kind.replace('-', ' ')} of its {owner}"
    shown = "requests" if kind == "token-counts" else kind
    for one in record.limits:
        if one.kind == shown:
            said += (
                f" ({one.limit}, of which {one.remaining} were left; full again at "
                f"{timestamp(one.reset_at)})"
            )
    if record.line.key_id == MASTER.id:
        return f"{said}. Wait, or raise MASTER_KEY_RATE_LIMIT."
    raised = f"`{_update(record, owner)} {_OPTIONS.get(kind, '')} N`"
    if owner == "key" and _OPTIONS.get(kind) == "--rate-limit":
        raised += ", or RATE_LIMIT_REQUESTS for all keys without a limit of their own"
    return f"{said}. Wait, or raise it: {raised}."


def _budget(record: RequestRecord) -> str:
    least = min(
        (one for one in record.budgets if one.left_nano is not None),
        key=lambda one: one.left_nano or 0,
        default=None,
    )
    if least is None:
        return "A budget is used up. Raise it, or wait for its next period (`budgets show`)."
    kind, _, name = least.owner.partition(":")
    again = timestamp(least.resets_at)
    waits = "" if again is None else f"Wait until it begins again at {again}, or raise it: "
    return (
        f"The {least.period} budget of the {kind} {name} is used up, or has less left than this "
        f"may cost: ${usd(least.left_nano)} of ${usd(least.budget_nano)}. "
        f"{waits or 'Raise it: '}`{kind}s update {name} --{least.period}-budget USD`."
    )


def _update(record: RequestRecord, owner: str) -> str:
    known = {"key": record.line.key_id, "user": record.line.user_id}
    return f"{owner}s update {known.get(owner) or 'ID'}"
