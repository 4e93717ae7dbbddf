"""The gates before a model, told apart by what AWS answers to a call of one token. Pure.

    gate             AWS answers                                            who opens it
    model access     AccessDenied "You don't have access to the model…",    the account: agreement,
                     "…aws-marketplace:Subscribe…", "use case details"      use case form, payment
    IAM              AccessDenied "…is not authorized to perform…"          the policy of the role
    data retention   a refusal that speaks of data retention                the account's setting
    quota            throttled again and again by calls of one token        Service Quotas

Sources: the errors of bedrock-runtime's service model; AWS's troubleshooting pages of Bedrock; for
data retention, aws-samples/sample-multi-agent #112 (models from Fable 5 on want `aws_review`).
"""

from __future__ import annotations

import re
from typing import Final

from ..aws_errors import (
    NEEDS_PROFILE,
    NO_CREDENTIALS,
    NO_SUCH_MODEL,
    NO_WAY,
    PER_DAY,
    TOO_LATE,
    UNREACHABLE,
    UpstreamRefusal,
    rule_for,
    says,
)
from ..errors import InvalidRequestError, NotFoundError, PermissionDeniedError, RateLimitError
from .checks import CheckResult, fail, ok, warn

_RETENTION: Final = re.compile(r"data[ _-]?retention|aws_review", re.IGNORECASE)
_ACCESS: Final = re.compile(
    r"access to the model|model access|aws-marketplace|marketplace subscription|use case details"
    r"|not available for this account|agreement|INVALID_PAYMENT_INSTRUMENT",
    re.IGNORECASE,
)
_IAM: Final = re.compile(r"not authorized to perform:? bedrock|explicit deny", re.IGNORECASE)
_NOT_IN_REGION: Final = r"not supported in this region"

OPEN: Final = ok("answers")
SOMETIMES: Final = warn(
    "answers, but was throttled first",
    "if that is often: ask for a higher quota (Service Quotas, Amazon Bedrock), or give the "
    "model a failover chain",
)


def judged(refusal: UpstreamRefusal, *, tries: int = 1) -> CheckResult:
    """Says which gate is closed; `tries` are the calls that ended so, one after the other."""
    words = refusal.message
    rule = rule_for(refusal)
    if rule.credentials:
        none = refusal.code == NO_CREDENTIALS
        found = "there are no credentials" if none else f"AWS refuses the credentials: {words}"
        return _closed("credentials", found, "see the line about credentials")
    if refusal.code in (UNREACHABLE, NO_WAY, TOO_LATE):
        return _closed("network", words, "see the line about the endpoint")
    if _RETENTION.search(words):
        return _closed(
            "data retention",
            words,
            "set the account's data-retention mode to what the model wants (aws_review), in the "
            "settings of the Bedrock console; it holds per region",
        )
    if _ACCESS.search(words) and not _IAM.search(words):
        return _closed(
            "model access",
            words,
            "open the model in the Bedrock console's catalog, accept its agreement and fill in the "
            "use case form; the role needs aws-marketplace:Subscribe once",
        )
    if rule.error is PermissionDeniedError:
        return _closed(
            "IAM",
            words,
            "allow bedrock:InvokeModel and bedrock:InvokeModelWithResponseStream on the model and "
            "on its inference profile, in every region that the profile names",
        )
    if rule.error is RateLimitError:
        return _throttled(words, tries)
    return _other(refusal)


def _throttled(words: str, tries: int) -> CheckResult:
    if says(PER_DAY, words):
        found = "the quota of tokens per day is zero or used up"
    else:
        found = f"throttled {tries} times in a row at one token each: the quota may be zero"
    return _closed(
        "quota",
        f"{found} ({words})",
        "look at Service Quotas, Amazon Bedrock, for this model and region: new accounts begin "
        "with zero for some; ask for more, or give the model a failover chain",
    )


def _other(refusal: UpstreamRefusal) -> CheckResult:
    words, error = refusal.message, rule_for(refusal).error
    if says(NEEDS_PROFILE, words):
        return _closed(
            "name", words, "name an inference profile of it (us.…, eu.…, global.…) in the mapping"
        )
    if error is NotFoundError or says(NO_SUCH_MODEL, words) or says(_NOT_IN_REGION, words):
        return _closed(
            "name",
            words,
            "the region does not have it: correct the mapping, AWS_REGION or that of the provider",
        )
    if error is InvalidRequestError:  # it was let in, and did not like one token
        return ok(
            f"all gates are open; the call itself was refused: {words}",
        )
    return warn(
        f"{refusal.code}: {words}",
        "AWS has a fault: try again later",
    )


def _closed(gate: str, found: str, mend: str) -> CheckResult:
    return fail(f"{gate}: {found}", mend)
