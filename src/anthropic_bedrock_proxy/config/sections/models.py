"""The models and targets that serve requests, and failover between them."""

# Without `from __future__ import annotations`: the annotations are read as objects, not as text.
from collections.abc import Mapping
from typing import Annotated, Literal

from .. import rules
from ..schema import Section, Setting


class ModelSettings(Section, frozen=True):
    """Names of models, and the settings that all requests to models get."""

    default_model_mapping: Annotated[
        Mapping[str, str],
        Setting(
            "DEFAULT_MODEL_MAPPING",
            "Requested model to Bedrock model id, inference profile or ARN; beside the built-in "
            "names, and before them.",
        ),
    ] = {}
    default_cache_ttl: Annotated[
        Literal["5m", "1h"] | None,
        Setting(
            "DEFAULT_CACHE_TTL",
            "The ttl of cache_control blocks that name none; unset leaves them alone.",
        ),
    ] = None
    default_service_tier: Annotated[
        Literal["default", "flex", "priority", "reserved"],
        Setting(
            "DEFAULT_SERVICE_TIER",
            "The Bedrock service tier of keys that name none. A model that does not have it is "
            "called in the default tier.",
        ),
    ] = "default"
    prompt_caching_enabled: Annotated[
        bool,
        Setting("PROMPT_CACHING_ENABLED", "Forward cache_control; off takes it out everywhere."),
    ] = True
    unsupported_sampling: Annotated[
        Literal["refuse", "drop"],
        Setting(
            "UNSUPPORTED_SAMPLING",
            "What becomes of temperature, top_p and top_k where the model does not take them: "
            "`refuse` is Anthropic's own answer, `drop` leaves them out with a warning, and lets "
            "anthropic-version 2026-10-21 have them for other models.",
        ),
    ] = "refuse"
    forced_tools: Annotated[
        Literal["ask", "auto", "refuse"],
        Setting(
            "FORCED_TOOLS",
            "What becomes of tool_choice any and tool where no tool can be forced on the model: "
            "`ask` sends auto with a sentence at the end of system that asks for the call, `auto` "
            "sends auto alone, `refuse` answers 400. The first two warn.",
        ),
    ] = "ask"
    performance_latency: Annotated[
        Literal["standard", "optimized"] | None,
        Setting("PERFORMANCE_LATENCY", "Ask Bedrock for latency-optimised inference."),
    ] = None
    request_metadata: Annotated[
        bool,
        Setting(
            "REQUEST_METADATA",
            "Send metadata.user_id as Bedrock's request metadata too, for invocation logs.",
        ),
    ] = True
    inference_geography: Annotated[
        str,
        Setting(
            "INFERENCE_GEOGRAPHY",
            "Which inference profiles to use: `global` (where a model has one), `regional` (never "
            "leave the region's geography) or a prefix such as `eu` (never leave that one). "
            "Clients choose within it with inference_geo.",
            rule=rules.GEOGRAPHY,
        ),
    ] = "global"
    guardrail_identifier: Annotated[
        str | None,
        Setting(
            "GUARDRAIL_IDENTIFIER",
            "The id or ARN of an Amazon Bedrock guardrail that every request passes through.",
        ),
    ] = None
    guardrail_version: Annotated[
        str, Setting("GUARDRAIL_VERSION", "The version of the guardrail.")
    ] = "DRAFT"
    guardrail_trace: Annotated[
        Literal["disabled", "enabled", "enabled_full"],
        Setting("GUARDRAIL_TRACE", "Whether Bedrock traces what the guardrail did."),
    ] = "disabled"
    guardrail_stream_mode: Annotated[
        Literal["sync", "async"],
        Setting(
            "GUARDRAIL_STREAM_MODE",
            "Converse streams: check before sending (sync) or while sending (async).",
        ),
    ] = "sync"
    model_dialects: Annotated[
        Mapping[str, str],
        Setting(
            "MODEL_DIALECTS",
            "A model's Anthropic id or Bedrock base id (or `*`) to the dialect to call it in: "
            "invoke, messages, mantle or converse; before the built-in choice.",
        ),
    ] = {}
    catalog_refresh_seconds: Annotated[
        float,
        Setting(
            "CATALOG_REFRESH",
            "How often changes of `models map`, `betas`, `providers` and `prices` are looked for.",
            minimum=0.1,
        ),
    ] = 5.0
    beta_header_mapping: Annotated[
        Mapping[str, tuple[str, ...]],
        Setting(
            "BETA_HEADER_MAPPING",
            "An anthropic-beta flag to the flags that Bedrock knows it by; before the built-in "
            "table.",
        ),
    ] = {}
    beta_headers_passthrough: Annotated[
        tuple[str, ...],
        Setting(
            "BETA_HEADERS_PASSTHROUGH",
            "anthropic-beta flags to forward although the built-in table does not know them.",
        ),
    ] = ()
    beta_headers_blocklist: Annotated[
        tuple[str, ...],
        Setting("BETA_HEADERS_BLOCKLIST", "anthropic-beta flags never to forward."),
    ] = ()


class FailoverSettings(Section, frozen=True):
    """Other providers to run a request on when the first cannot."""

    enabled: Annotated[bool, Setting("FAILOVER_ENABLED", "Try the other targets of a chain.")] = (
        True
    )
    providers: Annotated[
        Mapping[str, Mapping[str, str]],
        Setting(
            "PROVIDERS",
            "Accounts and regions beside the default one, by name: region, and if wanted "
            "endpoint_url, mantle_endpoint_url, profile, role_arn, external_id, access_key_id, "
            "secret_access_key, session_token, bearer_token.",
            secret=True,
        ),
    ] = {}
    chains: Annotated[
        Mapping[str, tuple[str, ...]],
        Setting(
            "FAILOVER_CHAINS",
            "A model's name (or `*`) to the targets to try in order, each "
            "PROVIDER[/DIALECT][=MODEL]; the default account and region are `default`.",
        ),
    ] = {}
    first_byte_timeout_seconds: Annotated[
        float,
        Setting(
            "FAILOVER_FIRST_BYTE_TIMEOUT",
            "How long a streamed answer may take to begin before the next target is tried.",
            minimum=0.05,
        ),
    ] = 20.0
    answer_timeout_seconds: Annotated[
        float,
        Setting(
            "FAILOVER_ANSWER_TIMEOUT",
            "The same for an answer that is not streamed, which comes all at once.",
            minimum=0.05,
        ),
    ] = 120.0
    failures: Annotated[
        int,
        Setting(
            "FAILOVER_FAILURES", "Failures in a row after which a target is left alone.", minimum=1
        ),
    ] = 3
    cooldown_seconds: Annotated[
        float,
        Setting(
            "FAILOVER_COOLDOWN",
            "How long it is left alone, unless it said itself (Retry-After).",
            minimum=0.05,
        ),
    ] = 30.0
    sticky_seconds: Annotated[
        float,
        Setting(
            "FAILOVER_STICKY",
            "How long a conversation stays with the target that served it last, for its prompt "
            "cache; 0: it does not.",
            minimum=0,
        ),
    ] = 3600.0
    encryption_secret: Annotated[
        str | None,
        Setting(
            "PROVIDER_KEY_ENCRYPTION_SECRET",
            "Encrypts the credentials of providers in the store; as in the predecessor.",
            secret=True,
        ),
    ] = None
