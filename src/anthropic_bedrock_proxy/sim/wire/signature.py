"""Verification of callers: SigV4 signatures and bearer tokens, from the request alone.

Written from AWS's description of Signature Version 4, apart from the client signer of this
project, so that each can judge the other. The path in the canonical request is the path on the
wire with every segment percent-encoded once more (so `%3A` becomes `%253A`); the payload hash is
that of the body received. A signature is good for five minutes to either side.
"""

from __future__ import annotations

import calendar
import hashlib
import hmac
import time
from collections.abc import Iterable, Mapping
from typing import NoReturn
from urllib.parse import quote, unquote_to_bytes

from ..options import Credential
from .refusal import Refusal

_ALGORITHM = "AWS4-HMAC-SHA256"
MANTLE_SERVICE = "bedrock-mantle"
_SKEW_SECONDS = 300
_UNRESERVED = "-_.~"
_SCOPE_PARTS = 5
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your "
    "AWS Secret Access Key and signing method. Consult the service documentation for details."
)
_UNKNOWN = "The security token included in the request is invalid."


class Verifier:
    """Checks requests against known key pairs and tokens; lets all in when it knows none."""

    def __init__(
        self, credentials: Iterable[Credential] = (), bearer_tokens: Iterable[str] = ()
    ) -> None:
        self.replace(credentials, bearer_tokens)

    def replace(self, credentials: Iterable[Credential], bearer_tokens: Iterable[str]) -> None:
        """Forgets the known pairs and tokens and takes these."""
        self._credentials = {pair.access_key_id: pair for pair in credentials}
        self._tokens = [token.encode() for token in bearer_tokens]
        self._keys: dict[tuple[str, str], bytes] = {}

    def check(
        self,
        method: str,
        raw_path: str,
        query: str,
        headers: Mapping[str, str],
        *,
        body: bytes,
        service: str = "bedrock",
    ) -> str:
        """Verifies a request; returns `sigv4`, `bearer` or `none`. Raises `Refusal`.

        Header names are lower case.
        """
        given = headers.get("authorization", "")
        if not given and service == MANTLE_SERVICE and "x-api-key" in headers:
            given = f"Bearer {headers['x-api-key']}"
        if not self._credentials and not self._tokens:
            return _scheme(given)
        if given[:7].lower() == "bearer ":
            token = given[7:].strip().encode()
            if not any(hmac.compare_digest(token, known) for known in self._tokens):
                raise Refusal(
                    "UnrecognizedClientException",
                    "Authentication failed: Please make sure your API Key is valid.",
                )
            return "bearer"
        if not given.startswith(_ALGORITHM):
            raise Refusal("MissingAuthenticationTokenException", "Missing Authentication Token")
        payload = hashlib.sha256(body).hexdigest()
        request = f"{method}\n{_canonical_path(raw_path)}\n{_canonical_query(query)}"
        self._check_signature(given, request, headers, payload, service)
        return "sigv4"

    def _check_signature(
        self,
        authorization: str,
        request: str,
        headers: Mapping[str, str],
        payload: str,
        expected_service: str,
    ) -> None:
        fields = _fields(authorization)
        access_key_id, _, scope = fields["Credential"].partition("/")
        pair = self._credentials.get(access_key_id)
        if pair is None:
            raise Refusal("UnrecognizedClientException", _UNKNOWN)
        parts = fields["Credential"].split("/")
        if len(parts) != _SCOPE_PARTS or parts[4] != "aws4_request":
            _incomplete("Credential must have exactly 5 slash-delimited elements.")
        _, date, region, service, _ = parts
        if service != expected_service:
            raise Refusal(
                "InvalidSignatureException",
                f"Credential should be scoped to correct service: '{expected_service}'.",
            )
        timestamp = headers.get("x-amz-date", "")
        if not timestamp.startswith(date):
            raise Refusal("InvalidSignatureException", "Date in Credential scope does not match.")
        _check_time(timestamp)
        names = fields["SignedHeaders"].split(";")
        _check_signed(names, headers)
        if headers.get("x-amz-content-sha256", payload) != payload:
            raise Refusal("InvalidSignatureException", "The provided payload hash does not match.")
        canonical = "\n".join(
            (
                request,
                "".join(f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in names),
                ";".join(names),
                payload,
            )
        )
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        to_sign = f"{_ALGORITHM}\n{timestamp}\n{scope}\n{digest}"
        expected = hmac.new(
            self._signing_key(pair, date, region, service), to_sign.encode(), hashlib.sha256
        ).hexdigest()
        if not hmac.compare_digest(expected, fields["Signature"]):
            raise Refusal("InvalidSignatureException", _MISMATCH)
        _check_token(pair, headers.get("x-amz-security-token"))

    def _signing_key(self, pair: Credential, date: str, region: str, service: str) -> bytes:
        scope = (pair.access_key_id, f"{date}/{region}/{service}")
        known = self._keys.get(scope)
        if known is not None:
            return known
        key = b"AWS4" + pair.secret_access_key.encode()
        for part in (date, region, service, "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        self._keys = {scope: key}
        return key


def signed_service(headers: Mapping[str, str]) -> str:
    """Returns the service in the credential scope of a signed request; empty for any other."""
    given = headers.get("authorization", "")
    if not given.startswith(_ALGORITHM):
        return ""
    scope = given.partition("Credential=")[2].partition(",")[0].split("/")
    return scope[3] if len(scope) == _SCOPE_PARTS else ""


def _scheme(authorization: str) -> str:
    if authorization.startswith(_ALGORITHM):
        return "sigv4"
    return "bearer" if authorization[:7].lower() == "bearer " else "none"


def _incomplete(message: str) -> NoReturn:
    raise Refusal("IncompleteSignatureException", message)


def _fields(authorization: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for part in authorization[len(_ALGORITHM) :].split(","):
        name, _, value = part.strip().partition("=")
        fields[name] = value
    for name in ("Credential", "SignedHeaders", "Signature"):
        if not fields.get(name):
            _incomplete(f"Authorization header requires '{name}' parameter.")
    return fields


def _check_time(timestamp: str) -> None:
    try:
        signed_at = calendar.timegm(time.strptime(timestamp, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        _incomplete("Date must be in ISO-8601 'basic format'.")
    now = time.time()
    if abs(now - signed_at) > _SKEW_SECONDS:
        state, word = ("expired", "earlier") if signed_at < now else ("not yet current", "later")
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        raise Refusal(
            "InvalidSignatureException",
            f"Signature {state}: {timestamp} is now {word} than {stamp} (5 min.)",
        )


def _check_signed(names: list[str], headers: Mapping[str, str]) -> None:
    if names != sorted(set(names)):
        _incomplete("SignedHeaders must be sorted and unique.")
    required = ["host", "x-amz-date"]
    if "x-amz-security-token" in headers:
        required.append("x-amz-security-token")
    for name in required:
        if name not in names:
            raise Refusal(
                "InvalidSignatureException", f"'{name}' must be a 'SignedHeader' in the request."
            )


def _check_token(pair: Credential, token: str | None) -> None:
    if token != pair.session_token:
        raise Refusal("UnrecognizedClientException", _UNKNOWN)
    if pair.expires_at is not None and time.time() >= pair.expires_at:
        raise Refusal(
            "ExpiredTokenException", "The security token included in the request is expired"
        )


def _canonical_path(raw_path: str) -> str:
    segments: list[str] = []
    for segment in raw_path.split("/"):
        if segment == "..":
            if segments:
                segments.pop()
        elif segment not in ("", "."):
            segments.append(quote(segment, safe=_UNRESERVED))
    path = "/" + "/".join(segments)
    return path + "/" if raw_path.endswith("/") and segments else path


def _canonical_query(query: str) -> str:
    if not query:
        return ""
    pairs = []
    for part in query.split("&"):
        name, _, value = part.partition("=")
        pairs.append((_encoded(name), _encoded(value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _encoded(text: str) -> str:
    return quote(unquote_to_bytes(text), safe=_UNRESERVED)
