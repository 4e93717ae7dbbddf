"""Our signatures against botocore's, the oracle."""

from __future__ import annotations

import datetime as dt
from urllib.parse import quote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.aws.sigv4 import Credentials, Signer, canonical_path, canonical_query

HOST = "bedrock-runtime.us-east-1.amazonaws.com"
# Not "." and "..": botocore takes them for path segments; routing knows no such models.
_models = st.text("abcXYZ012-_.:/+ é", min_size=1, max_size=30).filter(
    lambda model: model.strip(".")
)
_secrets = st.text("abcXYZ012+/=", min_size=1, max_size=40)  # what AWS makes keys and tokens of
_names = st.sampled_from(["x-amzn-bedrock-trace", "accept", "x-amzn-bedrock-service-tier"])


def theirs(credentials, path, body, extra, now, *, method="POST", query=None):
    """The Authorization header that botocore makes for the same request at the same moment."""
    timestamp = dt.datetime.fromtimestamp(int(now), dt.UTC)
    amz_date = timestamp.strftime("%Y%m%dT%H%M%SZ")
    headers = {"content-type": "application/json", "host": HOST, "x-amz-date": amz_date}
    headers |= dict(extra)
    if credentials.session_token:
        headers["x-amz-security-token"] = credentials.session_token
    request = AWSRequest(method, f"https://{HOST}{path}", headers=headers, data=body, params=query)
    request.context["timestamp"] = amz_date
    request.context["payload_signing_enabled"] = True
    auth = SigV4Auth(
        BotocoreCredentials(
            credentials.access_key_id, credentials.secret_access_key, credentials.session_token
        ),
        "bedrock",
        "us-east-1",
    )
    canonical = auth.canonical_request(request)
    signature = auth.signature(auth.string_to_sign(request, canonical), request)
    names = auth.signed_headers(auth.headers_to_sign(request))
    return (
        f"AWS4-HMAC-SHA256 Credential={auth.scope(request)}, SignedHeaders={names}, "
        f"Signature={signature}"
    )


@given(
    secret=_secrets,
    token=st.none() | _secrets,
    model=_models,
    body=st.binary(max_size=200),
    extra=st.dictionaries(_names, st.sampled_from(["ENABLED", "flex"]), max_size=3),
    now=st.integers(1_600_000_000, 1_900_000_000),
)
def test_agrees_with_botocore(secret, token, model, body, extra, now):
    credentials = Credentials("AKIDEXAMPLE", secret, token)
    path = f"/model/{quote(model, safe='')}/invoke"
    signer = Signer(host=HOST, region="us-east-1", service="bedrock")
    for moment in (now, now + 1, now + 86_400):  # the caches must follow the clock
        lines = signer.headers(
            credentials, canonical_path(path), body, extra=tuple(extra.items()), now=moment
        )
        expected = theirs(credentials, path, body, extra.items(), moment)
        assert lines.endswith(f"authorization: {expected}\r\n")


@given(
    query=st.dictionaries(
        st.text("aBz0-_.~ /+&=é%", min_size=1, max_size=8), st.text(max_size=12), max_size=4
    ),
    model=_models,
)
def test_queries_agree_with_botocore(query, model):
    credentials = Credentials("AKIDEXAMPLE", "secret", "token")
    path = f"/inference-profiles/{quote(model, safe='')}"
    signer = Signer(host=HOST, region="us-east-1", service="bedrock")
    lines = signer.headers(
        credentials,
        canonical_path(path),
        b"",
        method="GET",
        query=canonical_query(query.items()),
        now=1.7e9,
    )
    expected = theirs(credentials, path, b"", (), 1.7e9, method="GET", query=query)
    assert lines.endswith(f"authorization: {expected}\r\n")


def test_a_query_that_is_sent_as_it_was_signed():
    """Botocore's other way: it signs the query of the URL as it stands."""
    query = canonical_query([("type", "APPLICATION"), ("nextToken", "a+b/c="), ("maxResults", "9")])
    assert query == "maxResults=9&nextToken=a%2Bb%2Fc%3D&type=APPLICATION"
    credentials = Credentials("AKIDEXAMPLE", "secret")
    signer = Signer(host=HOST, region="us-east-1", service="bedrock")
    lines = signer.headers(credentials, "/x", b"", method="GET", query=query, now=1.7e9)
    expected = theirs(credentials, f"/x?{query}", b"", (), 1.7e9, method="GET")
    assert lines.endswith(f"authorization: {expected}\r\n")


def test_another_secret_is_not_signed_with_the_cached_key():
    signer = Signer(host=HOST, region="us-east-1", service="bedrock")
    first = signer.headers(Credentials("a", "one"), "/x", b"", now=1e9)
    second = signer.headers(Credentials("a", "two"), "/x", b"", now=1e9)
    assert first != second
    assert first == signer.headers(Credentials("a", "one"), "/x", b"", now=1e9)


def test_the_clock_is_the_system_s_unless_told():
    signer = Signer(host=HOST, region="us-east-1", service="bedrock")
    assert "x-amz-date: 20" in signer.headers(Credentials("a", "b"), "/x", b"")
