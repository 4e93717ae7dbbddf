"""AWS credentials of an assumed role, from STS, over our own transport and signatures.

The keys of one source sign the request for the keys of another. Nothing is kept open in between: an
hour passes from one request to the next.
Source: AWS STS API reference, AssumeRole; its answers are XML.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import datetime
from time import monotonic
from typing import Final
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import msgspec

from .connect import Endpoint
from .credentials import CredentialsError, CredentialsSource, RefreshingSource
from .http import Pool, Response, TransportError
from .sigv4 import Credentials, Signer

_VERSION: Final = "2011-06-15"
_CONTENT_TYPE: Final = "application/x-www-form-urlencoded; charset=utf-8"
_SESSION_NAME: Final = "anthropic-bedrock-proxy"  # what CloudTrail shows
_DURATION_SECONDS: Final = 3600  # the most that a role assumed by a role may have
_TIMEOUT_SECONDS: Final = 10.0
_MAX_ANSWER: Final = 64 * 1024
_PAUSE_SECONDS: Final = 0.25
_HTTP_OK: Final = 200
_HTTP_SERVER_ERROR: Final = 500
_CODE: Final = re.compile(r"[A-Za-z.]{1,64}")
_REFUSED_KEYS: Final = frozenset(
    ("ExpiredToken", "InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException")
)
_HINTS: Final = {
    "AccessDenied": "the role's trust policy must name the proxy's own identity (and its external "
    "id, if it asks for one), and that identity needs sts:AssumeRole",
    "RegionDisabledException": "STS is not activated in this region for the account",
    **dict.fromkeys(_REFUSED_KEYS, "the keys that the role was asked for with are not accepted"),
}


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """A role to assume."""

    arn: str
    external_id: str | None = None

    @property
    def name(self) -> str:
        """For messages: the ARN without the account."""
        return self.arn.rpartition(":")[2].removeprefix("role/")


def sts_url(region: str) -> str:
    """The region's own endpoint."""
    return f"https://sts.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def assumed_role_source(
    role: Role,
    base: CredentialsSource,
    endpoint: Endpoint,
    *,
    region: str,
    new_pool: Callable[[], Pool],
) -> RefreshingSource:
    """Keys of `role`, asked for with those of `base`; `new_pool` connects to `endpoint`."""
    signer = Signer(host=endpoint.authority, region=region, service="sts")
    path = f"{endpoint.path}/"

    async def ask(keys: Credentials, body: bytes) -> tuple[int, bytes]:
        head = (
            f"POST {path} HTTP/1.1\r\n"
            f"{signer.headers(keys, path, body, content_type=_CONTENT_TYPE)}"
            f"accept: */*\r\ncontent-length: {len(body)}\r\n\r\n"
        ).encode("latin-1")
        pool = new_pool()
        try:
            response = await pool.request(head, body, _TIMEOUT_SECONDS)
            return response.status, await _read(response)
        finally:
            await pool.close()

    async def fetch() -> Credentials:
        keys = await base.get()
        body = request_body(role)
        status, answer = 0, b""
        for pause in (_PAUSE_SECONDS, 0.0):
            try:
                status, answer = await ask(keys, body)
            except TransportError as error:
                if not pause:
                    raise CredentialsError(f"role {role.name}: STS: {error}") from error
            else:
                if status < _HTTP_SERVER_ERROR:
                    break
            await asyncio.sleep(pause)
        if status == _HTTP_OK:
            return read_answer(answer, role)
        raise _refused(answer, status, role, lambda: base.invalidate(keys))

    return RefreshingSource(fetch)


def request_body(role: Role) -> bytes:
    """The form that STS takes."""
    fields = {
        "Action": "AssumeRole",
        "Version": _VERSION,
        "RoleArn": role.arn,
        "RoleSessionName": _SESSION_NAME,
        "DurationSeconds": str(_DURATION_SECONDS),
    }
    if role.external_id:
        fields["ExternalId"] = role.external_id
    return urlencode(fields).encode()


def read_answer(answer: bytes, role: Role) -> Credentials:
    """The keys in a document with status 200. Raises `CredentialsError`."""
    found = _texts(answer)
    try:
        return Credentials(
            found["AccessKeyId"],
            found["SecretAccessKey"],
            found["SessionToken"],
            datetime.fromisoformat(found["Expiration"]).timestamp(),
        )
    except (KeyError, ValueError):
        raise CredentialsError(
            f"role {role.name}: STS answered something that holds no credentials"
        ) from None


def _refused(
    answer: bytes, status: int, role: Role, invalidate: Callable[[], None]
) -> CredentialsError:
    """In our words: STS's own name accounts and identities."""
    code = _texts(answer).get("Code", "")
    if not _CODE.fullmatch(code):
        code = f"HTTP {status}"
    if code in _REFUSED_KEYS:
        invalidate()
    hint = f"; {_HINTS[code]}" if code in _HINTS else ""
    return CredentialsError(f"role {role.name}: STS refused: {code}{hint}")


async def _read(response: Response) -> bytes:
    deadline = monotonic() + _TIMEOUT_SECONDS
    try:
        return await response.read_all(_TIMEOUT_SECONDS, deadline=deadline, limit=_MAX_ANSWER)
    finally:
        response.close()


def _texts(document: bytes) -> dict[str, str]:
    """The text of every element by its name without a namespace; empty if it is no XML."""
    # Without a document type there are no entities, and none of what they can do: see "XML
    # vulnerabilities" in the docs of the standard library. As text, for in another encoding a
    # document type would go unseen.
    try:
        text = document.decode()
        if "<!" in text or "\0" in text:
            return {}
        root = ET.fromstring(text)  # noqa: S314  # see above
    except (ET.ParseError, ValueError):
        return {}
    return {element.tag.rpartition("}")[2]: (element.text or "").strip() for element in root.iter()}
