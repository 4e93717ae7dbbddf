"""Validation of Converse and ConverseStream requests: the settings around the messages.

First the shapes of the service model, then the rules AWS documents in prose, then those of the
model behind (whose complaints AWS introduces with the words of `MODEL_SAYS`). Rules about the
messages are in `turns.py`; thinking, effort, sampling and beta flags share the
InvokeModel tables.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .. import guardrail, tier
from ..anthropic import thinking
from ..anthropic.dialect import INVOKE
from ..anthropic.scope import Scope
from ..anthropic.tools import check_tools
from ..anthropic.validation import MALFORMED, TOO_LONG, decode_body
from ..models.model import Model
from ..prompt import Prompt
from ..wire.refusal import Refusal, extra, invalid
from ..wire.shapes import check
from .abilities import check_caching, check_settings
from .shapes import CONVERSE, CONVERSE_STREAM, COUNT_TOKENS
from .turns import MODEL_SAYS, check_cache_point, check_messages

_CLAUDE_FIELDS = frozenset(
    ("anthropic_beta", "thinking", "top_k", "tools", "tool_choice", "output_config")
)


def validate(model: Model, data: bytes, *, streams: bool) -> Prompt:
    """Checks a request; returns its prompt. Raises `Refusal`."""
    body = decode_body(data)
    check(CONVERSE_STREAM if streams else CONVERSE, body, "")
    prompt = _validate(model, body, streams=streams)
    prompt.guardrail = guardrail.from_config(body.get("guardrailConfig"), data)
    prompt.service_tier = (body.get("serviceTier") or {}).get("type")
    tier.check(model, prompt.service_tier)
    return prompt


def validate_count(model: Model, given: Any) -> Prompt:
    """Checks the converse input of CountTokens; returns its prompt. Raises `Refusal`."""
    if not isinstance(given, dict):
        raise invalid(MALFORMED)
    check(COUNT_TOKENS, given, "input.converse")
    return _validate(model, given, streams=False)


def _validate(model: Model, body: dict[str, Any], *, streams: bool) -> Prompt:
    prompt = Prompt(model=model)
    check_settings(model, body, streams=streams)
    config = body.get("inferenceConfig") or {}
    prompt.max_tokens = config.get("maxTokens") or min(4096, model.max_output_tokens)
    prompt.stop_sequences = config.get("stopSequences") or []
    prompt.response_paths = body.get("additionalModelResponseFieldPaths") or []
    tools = _check_tools(prompt, body)
    for index, block in enumerate(body.get("system") or []):
        if block.get("cachePoint") is not None:
            check_caching(model)
            check_cache_point(prompt, block["cachePoint"])
        elif block.get("text") is not None:
            if not block["text"].strip():
                raise invalid(
                    f"The text field in the SystemContentBlock object at system.{index} is blank. "
                    "Add text to the text field, and try again."
                )
            prompt.characters += len(block["text"])
    if model.is_claude:
        try:
            _check_claude(prompt, body, config)
        except Refusal as refusal:
            raise invalid(MODEL_SAYS + refusal.message) from refusal
    if text_format := (body.get("outputConfig") or {}).get("textFormat"):
        schema = text_format["structure"]["jsonSchema"]["schema"]
        prompt.json_schema = decode_body(schema.encode())
    _check_choice(prompt, body, tools)
    check_messages(prompt, body.get("messages") or [], has_tools=body.get("toolConfig") is not None)
    if prompt.input_tokens > model.context_tokens:
        raise invalid(TOO_LONG)
    return prompt


def _check_tools(prompt: Prompt, body: dict[str, Any]) -> dict[str, dict[str, Any]]:
    config = body.get("toolConfig")
    if config is None:
        return {}
    tools: dict[str, dict[str, Any]] = {}
    for index, tool in enumerate(config["tools"]):
        if tool.get("cachePoint") is not None:
            check_cache_point(prompt, tool["cachePoint"])
        elif spec := tool.get("toolSpec"):
            schema = spec["inputSchema"]["json"]
            if not isinstance(schema, dict) or schema.get("type") != "object":
                raise invalid(
                    "The value at toolConfig.tools."
                    f"{index}.toolSpec.inputSchema.json.type must be one of the following: object."
                )
            if spec["name"] in tools:
                raise invalid(f"The tool name {spec['name']} is already defined at toolConfig.")
            tools[spec["name"]] = schema
        else:
            raise invalid(f"The systemTool at toolConfig.tools.{index} isn't supported.")
    if not tools:
        raise invalid("The toolConfig field must hold at least one tool.")
    prompt.characters += len(msgspec.json.encode(config["tools"]))
    return tools


def _check_choice(prompt: Prompt, body: dict[str, Any], tools: dict[str, dict[str, Any]]) -> None:
    choice = (body.get("toolConfig") or {}).get("toolChoice")
    if not choice or "auto" in choice:
        return
    kind = next(iter(choice))
    if not prompt.model.can.forced_tools:
        raise invalid(
            f"This model doesn't support the toolConfig.toolChoice.{kind} field. Remove "
            f"toolConfig.toolChoice.{kind} and try again."
        )
    if prompt.thinking != "off":
        raise invalid(MODEL_SAYS + "Thinking may not be enabled when tool_choice forces tool use.")
    name = choice["tool"]["name"] if kind == "tool" else next(iter(tools))
    if name not in tools:
        raise invalid(
            f"The tool {name} in toolConfig.toolChoice isn't defined at toolConfig.tools."
        )
    prompt.forced_tool = (name, tools[name])


def _check_claude(prompt: Prompt, body: dict[str, Any], config: dict[str, Any]) -> None:
    model = prompt.model
    if prompt.max_tokens > model.max_output_tokens:
        raise invalid(
            f"max_tokens: {prompt.max_tokens} > {model.max_output_tokens}, which is the maximum "
            f"allowed number of output tokens for {model.name}"
        )
    fields = body.get("additionalModelRequestFields") or {}
    if not isinstance(fields, dict):
        raise invalid("additionalModelRequestFields: Input should be a valid dictionary")
    for key in fields:
        if key not in _CLAUDE_FIELDS:
            raise extra(key)
    betas = fields.get("anthropic_beta") or []
    for flag in betas:
        if not isinstance(flag, str) or not model.accepts_beta(flag, "converse"):
            raise invalid("invalid beta flag")
    _check_sampling(model, config, fields)
    native = {
        "thinking": fields.get("thinking"),
        "max_tokens": prompt.max_tokens,
        "temperature": config.get("temperature"),
        "tools": body.get("toolConfig"),
    }
    if (tools := fields.get("tools")) is not None:
        # Client tools of Anthropic's schema travel here; tool search exists nowhere on Converse.
        scope = Scope(
            model=model, dialect=INVOKE, betas=frozenset(betas), new_version=False, prompt=prompt
        )
        check_tools(scope, tools)
    prompt.thinking = thinking.check(model, native, betas)
    _check_output(prompt, body.get("outputConfig") or {}, fields, betas)


def _check_sampling(model: Model, config: dict[str, Any], fields: dict[str, Any]) -> None:
    temperature, top_p = config.get("temperature"), config.get("topP")
    if model.generation >= (4, 7):
        for key, value in (("temperature", temperature), ("top_p", top_p)):
            if value is not None and value != 1:
                raise invalid(f"`{key}` is deprecated for this model.")
        if "top_k" in fields:
            raise invalid("`top_k` is deprecated for this model.")
    elif temperature is not None and top_p is not None and model.generation >= (4, 1):
        raise invalid(
            "`temperature` and `top_p` cannot both be specified for this model. Please use only "
            "one."
        )


def _check_output(
    prompt: Prompt, config: dict[str, Any], fields: dict[str, Any], betas: list[str]
) -> None:
    native = fields.get("output_config") or {}
    effort = config.get("effort") or native.get("effort")
    if effort is not None:
        off = (fields.get("thinking") or {}).get("type") == "disabled"
        thinking.check_effort(prompt.model, effort, betas, thinking_off=off)
