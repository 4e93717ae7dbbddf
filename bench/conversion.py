"""In-process: what it costs to bring a long conversation into Converse's form.

800 turns and 5 MB: a day's work of a coding agent, with tool calls, long results and thinking.
"""

from __future__ import annotations

import json
from statistics import median
from time import process_time
from typing import Any, Final

from anthropic_bedrock_proxy.app.models import load_model_table
from anthropic_bedrock_proxy.gateway.conversion import ConversionOptions, convert
from anthropic_bedrock_proxy.models.registry import Registry, RoutingOptions
from anthropic_bedrock_proxy.protocol.request.messages import parse_request
from anthropic_bedrock_proxy.protocol.request.policy import DEFAULT_POLICY

_ROUNDS: Final = 15
_LOOPS: Final = 400  # each a user turn and an assistant turn
_MODEL: Final = "amazon.nova-2-lite-v1:0"
_LINE: Final = 'def f(x):\n    return "naïve" + x  # alpha beta gamma delta epsilon zeta\n'


def milliseconds() -> float:
    """CPU, the median of a few rounds: adapting and converting, parsing apart."""
    body = _conversation()
    registry = Registry(load_model_table(), RoutingOptions(region="us-east-1"))
    target = registry.route(_MODEL).targets[0]
    options = ConversionOptions(
        flags=[], rules=registry.betas, policy=DEFAULT_POLICY, stream=True, request_id="req_1"
    )
    times = []
    for _ in range(_ROUNDS):
        request = parse_request(body, "2023-06-01")
        began = process_time()
        convert(request, target, options)
        times.append((process_time() - began) * 1e3)
    return median(times)


def _conversation() -> bytes:
    messages: list[dict[str, Any]] = []
    for number in range(_LOOPS):
        asked: list[dict[str, Any]] = [{"type": "text", "text": _LINE * 8}]
        if number:
            result = {"type": "text", "text": _LINE * 120}
            told = {
                "type": "tool_result",
                "tool_use_id": f"toolu_{number - 1}",
                "content": [result],
            }
            asked.insert(0, told)
        call = {"path": _LINE * 10, "offset": 1.5}
        answer = [
            {"type": "thinking", "thinking": _LINE * 20, "signature": "A" * 400},
            {"type": "text", "text": _LINE * 8},
            {"type": "tool_use", "id": f"toolu_{number}", "name": "Read", "input": call},
        ]
        messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    last = {"type": "tool_result", "tool_use_id": f"toolu_{_LOOPS - 1}", "content": "done"}
    messages.append({"role": "user", "content": [last]})
    tool = {"name": "Read", "description": _LINE, "input_schema": {"type": "object"}}
    body = {"model": _MODEL, "max_tokens": 1000, "messages": messages, "tools": [tool]}
    return json.dumps(body, ensure_ascii=False).encode()
