"""One look-up of AWS credentials by botocore. Runs in the child process only, on any thread.

A session of its own for each look-up: botocore remembers what it found, and would go on with keys
that AWS has refused, or with files that have changed.
"""

from __future__ import annotations

import re
from datetime import datetime
from json import JSONDecodeError
from typing import Any, Final

from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError
from botocore.session import Session

from .feed import Keys, LookUpError

_SESSION_NAME: Final = "anthropic-bedrock-proxy"  # what CloudTrail shows
_CONNECT_SECONDS: Final = 5.0
_READ_SECONDS: Final = 10.0
_ATTEMPTS: Final = 2
_LONGEST_REASON: Final = 500
_LONGEST_TEXT: Final = 10_000  # a process may write megabytes to its error
# Account ids, access key ids, and words as long and as mixed as a secret.
_HIDDEN: Final = re.compile(
    r"\b\d{12}\b|\bA[A-Z]{3}[A-Z0-9]{12,}\b"
    r"|(?<![\w/+=-])(?=[\w/+=-]*\d)(?=[\w/+=-]*[A-Z])[\w/+=-]{40,}",
    re.ASCII,
)
_VALUE: Final = re.compile(r"[!-~]{1,8192}")  # session tokens are below 4096 as a rule
_REFUSED_KEYS: Final = "the keys that the role was asked for with are not accepted"
_HINTS: Final = {
    "AccessDenied": "the role's trust policy must name the proxy's own identity (and its external "
    "id, if it asks for one), and that identity needs sts:AssumeRole",
    "RegionDisabledException": "STS is not activated in this region for the account",
    "ExpiredToken": _REFUSED_KEYS,
    "InvalidClientTokenId": _REFUSED_KEYS,
    "SignatureDoesNotMatch": _REFUSED_KEYS,
}


def look_up(identity: dict[str, Any]) -> Keys:
    """Finds the keys of an identity (the fields of `Identity`). Raises `LookUpError`."""
    try:
        keys = _look_up(identity)
    except LookUpError:
        raise
    except Exception as error:
        raise LookUpError(reason_of(error)) from error
    _check(keys)
    return keys


def reason_of(error: Exception) -> str:
    """Describes a failure in one line, without account ids and anything that may be a key."""
    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        text = f"{error.operation_name} was refused: {error}"
        if hint := _HINTS.get(code):
            text = f"{text}: {hint}"
    else:
        text = str(error)
    if isinstance(error, ResponseParserError):  # its text is the whole answer
        text = "the answer cannot be read"
    name = type(error).__name__
    if isinstance(error, JSONDecodeError):
        text = f"what it printed or sent is not JSON ({error})"
    elif isinstance(error, EOFError):
        text = "it asks for something (an MFA code?), and nobody is there to answer"
    if not text.strip() or text == repr(None):
        text = name
    elif isinstance(error, KeyError | ValueError | TypeError):  # their texts alone say little
        text = f"{name}: {text}"
    return _HIDDEN.sub("…", " ".join(text[:_LONGEST_TEXT].split()))[:_LONGEST_REASON]


def _look_up(identity: dict[str, Any]) -> Keys:
    session = Session(profile=identity["profile"])
    session.set_config_variable("region", identity["region"])
    session.set_default_client_config(
        Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
        )
    )
    if identity["access_key_id"] is not None:
        session.set_credentials(
            identity["access_key_id"], identity["secret_access_key"], identity["session_token"]
        )
    if identity["role_arn"] is not None:
        return _assume(session, identity)
    found = session.get_credentials()
    if found is None:
        raise LookUpError("nothing in it gave credentials; `doctor` names what can")
    # When to fetch again is not botocore's to decide: it would at once what lives for less than a
    # quarter of an hour.
    for name in ("_advisory_refresh_timeout", "_mandatory_refresh_timeout"):
        setattr(found, name, 0)
    frozen = found.get_frozen_credentials()
    ends: datetime | None = getattr(found, "_expiry_time", None)  # botocore tells it nowhere else
    return Keys(
        frozen.access_key,
        frozen.secret_key,
        frozen.token or None,  # an empty one is none, to AWS's own tools too
        ends.timestamp() if ends else None,
    )


def _assume(session: Session, identity: dict[str, Any]) -> Keys:
    options = {"RoleArn": identity["role_arn"], "RoleSessionName": _SESSION_NAME}
    if identity["external_id"] is not None:
        options["ExternalId"] = identity["external_id"]
    found = session.create_client("sts").assume_role(**options)["Credentials"]
    ends: datetime = found["Expiration"]
    return Keys(
        found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"], ends.timestamp()
    )


def _check(keys: Keys) -> None:
    """Raises `LookUpError` for keys that cannot stand in a header."""
    for name, value in zip(Keys._fields[:3], keys[:3], strict=True):
        if value is None and name == "session_token":
            continue
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise LookUpError(f"the {name.replace('_', ' ')} that was found is none")
