"""Amazon Bedrock: where it is, and how long to wait for it."""

# Without `from __future__ import annotations`: the annotations are read as objects, not as text.
from pathlib import Path
from typing import Annotated

from .. import rules
from ..schema import Section, Setting


class AWSSettings(Section, frozen=True):
    """Amazon Bedrock: its region and endpoints, and the credentials for it."""

    region: Annotated[
        str,
        Setting(
            "AWS_REGION",
            "The AWS region that requests go to; without it `AWS_DEFAULT_REGION`, then the region "
            "of the AWS profile.",
            aliases=("AWS_DEFAULT_REGION",),
            rule=rules.REGION,
        ),
    ] = "us-east-1"
    access_key_id: Annotated[
        str | None,
        Setting(
            "AWS_ACCESS_KEY_ID",
            "A static access key; needs AWS_SECRET_ACCESS_KEY. Without one the AWS default chain "
            "looks for credentials (profile, web identity, container, instance).",
            rule=rules.TOKEN,
        ),
    ] = None
    secret_access_key: Annotated[
        str | None,
        Setting(
            "AWS_SECRET_ACCESS_KEY",
            "The secret of the static access key.",
            secret=True,
            rule=rules.TOKEN,
        ),
    ] = None
    session_token: Annotated[
        str | None,
        Setting(
            "AWS_SESSION_TOKEN",
            "The session token of temporary credentials.",
            secret=True,
            rule=rules.TOKEN,
        ),
    ] = None
    profile: Annotated[
        str | None, Setting("AWS_PROFILE", "A profile of the AWS configuration files.")
    ] = None
    bearer_token: Annotated[
        str | None,
        Setting(
            "AWS_BEARER_TOKEN_BEDROCK",
            "An Amazon Bedrock API key; used instead of signed requests.",
            secret=True,
            rule=rules.TOKEN,
        ),
    ] = None
    bedrock_endpoint_url: Annotated[
        str | None,
        Setting(
            "BEDROCK_ENDPOINT_URL",
            "Use this endpoint instead of the region's own (VPC endpoint, simulator).",
            aliases=("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "AWS_ENDPOINT_URL"),
            rule=rules.ENDPOINT,
            url=True,
        ),
    ] = None
    bedrock_mantle_endpoint_url: Annotated[
        str | None,
        Setting(
            "BEDROCK_MANTLE_ENDPOINT_URL",
            "Use this bedrock-mantle endpoint instead of the region's own. Where only "
            "BEDROCK_ENDPOINT_URL is set, bedrock-mantle is not used.",
            rule=rules.ENDPOINT,
            url=True,
        ),
    ] = None
    bedrock_control_endpoint_url: Annotated[
        str | None,
        Setting(
            "BEDROCK_CONTROL_ENDPOINT_URL",
            "Use this endpoint for listings and inference profiles instead of the region's own; "
            "unset, it follows BEDROCK_ENDPOINT_URL.",
            aliases=("AWS_ENDPOINT_URL_BEDROCK", "AWS_ENDPOINT_URL"),
            rule=rules.ENDPOINT,
            url=True,
        ),
    ] = None
    dynamodb_endpoint_url: Annotated[
        str | None,
        Setting(
            "DYNAMODB_ENDPOINT_URL",
            "Use this DynamoDB endpoint instead of the region's own.",
            aliases=("AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"),
            rule=rules.ENDPOINT,
            url=True,
        ),
    ] = None
    pricing_endpoint_url: Annotated[
        str | None,
        Setting(
            "PRICING_ENDPOINT_URL",
            "Use this endpoint of the AWS Price List API instead of the one in us-east-1.",
            aliases=("AWS_ENDPOINT_URL_PRICING", "AWS_ENDPOINT_URL"),
            rule=rules.ENDPOINT,
            url=True,
        ),
    ] = None
    use_fips_endpoint: Annotated[
        bool,
        Setting(
            "AWS_USE_FIPS_ENDPOINT",
            "Use the FIPS endpoints of AWS. bedrock-mantle, which is not known to have one, is "
            "then used only where BEDROCK_MANTLE_ENDPOINT_URL names it.",
        ),
    ] = False
    use_dualstack_endpoint: Annotated[
        bool,
        Setting("AWS_USE_DUALSTACK_ENDPOINT", "Use the endpoints of AWS for IPv4 and IPv6."),
    ] = False
    ca_bundle: Annotated[
        Path | None,
        Setting(
            "AWS_CA_BUNDLE",
            "Certificate authorities (PEM) to trust instead of the system's.",
            rule=rules.EXISTING_PATH,
        ),
    ] = None
    https_proxy: Annotated[
        str | None,
        Setting(
            "HTTPS_PROXY", "The egress proxy to reach AWS through.", rule=rules.PROXY, url=True
        ),
    ] = None
    no_proxy: Annotated[
        str | None,
        Setting(
            "NO_PROXY",
            "Hosts that are reached without the egress proxy, comma-separated: names, which "
            "stand for all below them, too, addresses, networks (10.0.0.0/8), each but these "
            "perhaps with a port (:8443), or `*`.",
        ),
    ] = None


class UpstreamSettings(Section, frozen=True):
    """Time-outs and retries towards Amazon Bedrock."""

    connect_timeout_seconds: Annotated[
        float,
        Setting(
            "UPSTREAM_CONNECT_TIMEOUT",
            "How long a connection to AWS, with its TLS handshake, may take.",
            minimum=0.1,
        ),
    ] = 10.0
    first_byte_timeout_seconds: Annotated[
        float,
        Setting(
            "UPSTREAM_FIRST_BYTE_TIMEOUT",
            "How long a model may take to begin its answer.",
            minimum=0.1,
        ),
    ] = 300.0
    idle_timeout_seconds: Annotated[
        float,
        Setting(
            "UPSTREAM_IDLE_TIMEOUT",
            "How long a model may pause in the middle of its answer.",
            minimum=0.1,
        ),
    ] = 300.0
    total_timeout_seconds: Annotated[
        float,
        Setting("BEDROCK_TIMEOUT", "How long one answer of a model may take.", minimum=0.1),
    ] = 1800.0
    max_attempts: Annotated[
        int,
        Setting(
            "UPSTREAM_MAX_ATTEMPTS",
            "Attempts per model call, the first included; there are none after the first byte.",
            minimum=1,
            maximum=20,
        ),
    ] = 4
    retry_seconds: Annotated[
        float,
        Setting(
            "UPSTREAM_RETRY_SECONDS",
            "No new attempt starts later than this after the first.",
            minimum=0,
        ),
    ] = 30.0
    max_connections: Annotated[
        int,
        Setting("UPSTREAM_MAX_CONNECTIONS", "Connections to AWS per worker.", minimum=1),
    ] = 1000
    max_connecting: Annotated[
        int,
        Setting("UPSTREAM_MAX_CONNECTING", "Handshakes in parallel per worker.", minimum=1),
    ] = 32
