"""The predecessor's settings that are ignored here, each with the reason that `config` shows."""

from __future__ import annotations

_NAME = "the name, version and prefix of the API are fixed"
_ALWAYS = "always on; the client's request decides"
_ASYNC = "there are no threads; see UPSTREAM_MAX_CONNECTIONS"
_BETAS = "replaced by a table of what each model accepts"
_FIXED = "never had an effect"
_OPENAI = "all models are called through Amazon Bedrock"
_ROUTING = "there are no other providers, routing rules or prompt compression"
_COGNITO = "the administration does not use Cognito"
_OPERATOR = "a sync never touches the prices that were set; `prices unset` takes one away"

IGNORED: dict[str, str] = {
    "APP_NAME": _NAME,
    "APP_VERSION": _NAME,
    "API_PREFIX": _NAME,
    "DEBUG": "replaced by LOG_LEVEL=DEBUG",
    "RELOAD": "the server does not watch its own files",
    "ENABLE_TOOL_USE": _ALWAYS,
    "ENABLE_EXTENDED_THINKING": _ALWAYS,
    "ENABLE_DOCUMENT_SUPPORT": _ALWAYS,
    "FINE_GRAINED_TOOL_STREAMING_ENABLED": _ALWAYS,
    "INTERLEAVED_THINKING_ENABLED": _ALWAYS,
    "STREAMING_CHUNK_SIZE": _FIXED,
    "STREAMING_TIMEOUT": "replaced by BEDROCK_TIMEOUT and UPSTREAM_IDLE_TIMEOUT",
    "DYNAMODB_TIMEOUT": _FIXED,
    "BEDROCK_THREAD_POOL_SIZE": _ASYNC,
    "BEDROCK_SEMAPHORE_SIZE": _ASYNC,
    "BETA_HEADER_SUPPORTED_MODELS": _BETAS,
    "BETA_HEADERS_REQUIRING_INVOKE_MODEL": _BETAS,
    "STRIP_CACHE_SCOPE": _BETAS,
    "ENABLE_OPENAI_COMPAT": _OPENAI,
    "OPENAI_API_KEY": _OPENAI,
    "OPENAI_BASE_URL": _OPENAI,
    "OPENAI_COMPAT_THINKING_HIGH_THRESHOLD": _OPENAI,
    "OPENAI_COMPAT_THINKING_MEDIUM_THRESHOLD": _OPENAI,
    "MULTI_PROVIDER_ENABLED": _ROUTING,
    "ROUTING_ENABLED": _ROUTING,
    "SMART_ROUTING_ENABLED": _ROUTING,
    "SMART_ROUTING_STRONG_MODEL": _ROUTING,
    "SMART_ROUTING_WEAK_MODEL": _ROUTING,
    "SMART_ROUTING_THRESHOLD": _ROUTING,
    "COMPRESSION_ENABLED": _ROUTING,
    "COMPRESSION_TOOL_RESULT_MAX_CHARS": _ROUTING,
    "COMPRESSION_FOLD_AFTER_TURNS": _ROUTING,
    "CACHE_AWARE_ROUTING_ENABLED": _ROUTING,
    "PRICING_SYNC_OVERWRITE_MANUAL": _OPERATOR,
    "SENTRY_DSN": _FIXED,
    "COGNITO_USER_POOL_ID": _COGNITO,
    "COGNITO_CLIENT_ID": _COGNITO,
    "COGNITO_REGION": _COGNITO,
    "ADMIN_DEV_MODE": _COGNITO,
    "SERVE_STATIC_FILES": "there is no separate web interface to serve",
    "REQUIRE_IAM_ROLES": "the AWS default chain decides which credentials are used",
}
