"""The models of the simulator, as data.

Ids and inference profile prefixes are those of the Bedrock model list. What a model that is not
Claude accepts on Converse is known from the table of models and features in the Converse
reference of AWS and from refusals in public issue reports (cited below); where neither says
anything the ability is absent, so that the simulator errs on the strict side.
"""

from __future__ import annotations

import re

from .model import Abilities, Model

# The first generation that refuses forced tools, and to have its thinking disabled.
_UNFORCED = {"opus": (5, 5), "sonnet": (5, 5), "fable": (5, 1), "mythos": (5, 1)}


def _claude(name: str, tail: str, prefixes: str, *, on_demand: bool = False) -> Model:
    numbers = re.findall(r"-(\d{1,2})(?=-|$)", name)
    family = next(f for f in ("fable", "mythos", "opus", "sonnet", "haiku") if f in name)
    major, minor = [*numbers, "0", "0"][:2] if numbers else ("4", "7")  # mythos-preview
    generation = (int(major), int(minor))
    return Model(
        id=f"anthropic.{name}{tail}",
        name=name,
        family=family,
        generation=generation,
        prefixes=tuple(prefixes.split()),
        needs_profile=not on_demand,
        can=Abilities(
            # The newest choose for themselves.
            forced_tools=generation < _UNFORCED.get(family, (9, 9)),
            result_status=True,
            rich_results=True,
            # The table says that Haiku 3.5 does not see.
            images=generation != (3, 5),
            documents=True,
            caching=generation >= (3, 5),
            reasoning_back=generation >= (3, 7),
            json_schema=generation >= (4, 5),
        ),
    )


# The Converse reference: `any` and `tool` for Claude, Nova and Mistral Large; `status` for Claude
# and Nova; cache checkpoints for Claude and Nova.
_NOVA = Abilities(
    forced_tools=True,
    result_status=True,
    rich_results=True,
    images=True,
    documents=True,
    video=True,
    caching=True,
)
_NOVA_MICRO = Abilities(forced_tools=True, result_status=True, caching=True)
_NOVA_2 = Abilities(
    forced_tools=True,
    result_status=True,
    rich_results=True,
    images=True,
    documents=True,
    video=True,
    caching=True,
    reasoning_back=True,
)
# "doesn't support tool use in streaming mode": earendil-works/pi#3739 (Llama 4),
# strands-agents#32 (Meta, Mistral), langchain-aws#466 (Palmyra). Text and tool results in one
# turn: browser-use#710 (Llama 3.3, Mistral Large).
_LLAMA = Abilities(streamed_tools=False, mixed_results=False, documents=True)
_LLAMA_4 = Abilities(streamed_tools=False, mixed_results=False, documents=True, images=True)
_MISTRAL = Abilities(streamed_tools=False, forced_tools=True, mixed_results=False, documents=True)
_PIXTRAL = Abilities(forced_tools=True, documents=True, images=True)
_PALMYRA = Abilities(streamed_tools=False, documents=True)
_CHAT = Abilities(documents=True)
# "User messages cannot contain reasoning content": langchain-aws#401, zed#32341.
_DEEPSEEK_R1 = Abilities(tools=False, documents=True)
_OPEN_WEIGHT = Abilities(reasoning_back=True, json_schema=True)
_OPEN_WEIGHT_VISION = Abilities(reasoning_back=True, json_schema=True, images=True)
_SEEING = Abilities(images=True)
_GPT = Abilities(forced_tools=True, images=True, reasoning_back=True)
_OLD = Abilities(system=False, tools=False, documents=True)


def _other(
    provider: str, id_: str, can: Abilities, prefixes: str = "", *, on_demand: bool = True
) -> Model:
    name = re.sub(r"(-v\d+(:\d+)?|-\d:\d)$", "", id_.partition(".")[2])
    return Model(
        id=id_,
        name=name,
        provider=provider,
        prefixes=tuple(prefixes.split()),
        needs_profile=not on_demand,
        can=can,
    )


_NEW = "us eu apac jp au global"
MODELS: tuple[Model, ...] = (
    _claude("claude-fable-5-2", "", "us global"),
    _claude("claude-mythos-5-2", "", "us global"),
    _claude("claude-fable-5-1", "", "us global eu us-gov"),
    _claude("claude-mythos-5-1", "", "us global"),
    _claude("claude-opus-5-5", "", f"{_NEW} us-gov"),
    _claude("claude-sonnet-5-5", "", f"{_NEW} us-gov"),
    _claude("claude-haiku-5-5", "", f"{_NEW} us-gov"),
    _claude("claude-opus-5", "", f"{_NEW} us-gov"),
    _claude("claude-sonnet-5", "", f"{_NEW} us-gov"),
    _claude("claude-fable-5", "", "us global eu apac au"),
    _claude("claude-mythos-5", "", "us global"),
    _claude("claude-opus-4-8", "", f"{_NEW} us-gov"),
    _claude("claude-opus-4-7", "", _NEW),
    _claude("claude-mythos-preview", "", "us apac au"),
    _claude("claude-opus-4-6", "-v1", "global us eu jp apac au"),
    _claude("claude-sonnet-4-6", "", "global us eu jp apac au"),
    _claude("claude-opus-4-5-20251101", "-v1:0", "global us eu"),
    _claude("claude-sonnet-4-5-20250929", "-v1:0", "global us eu jp au us-gov"),
    _claude("claude-haiku-4-5-20251001", "-v1:0", "global us eu jp au apac"),
    _claude("claude-opus-4-1-20250805", "-v1:0", "us eu"),
    _claude("claude-sonnet-4-20250514", "-v1:0", "global us eu apac"),
    _claude("claude-3-5-haiku-20241022", "-v1:0", "us eu", on_demand=True),
    _claude("claude-3-haiku-20240307", "-v1:0", "us eu apac", on_demand=True),
    _other("Amazon", "amazon.nova-micro-v1:0", _NOVA_MICRO, "us eu apac"),
    _other("Amazon", "amazon.nova-lite-v1:0", _NOVA, "us eu apac"),
    _other("Amazon", "amazon.nova-pro-v1:0", _NOVA, "us eu apac"),
    _other("Amazon", "amazon.nova-2-lite-v1:0", _NOVA_2, "us eu jp global apac", on_demand=False),
    _other("Amazon", "amazon.titan-text-express-v1", _OLD),
    _other("Meta", "meta.llama3-3-70b-instruct-v1:0", _LLAMA, "us", on_demand=False),
    _other("Meta", "meta.llama4-maverick-17b-instruct-v1:0", _LLAMA_4, "us", on_demand=False),
    _other("Mistral AI", "mistral.mistral-7b-instruct-v0:2", _OLD),
    _other("Mistral AI", "mistral.mistral-large-2402-v1:0", _MISTRAL),
    _other("Mistral AI", "mistral.pixtral-large-2502-v1:0", _PIXTRAL, "us eu", on_demand=False),
    _other("Cohere", "cohere.command-r-v1:0", _CHAT),
    _other("Cohere", "cohere.command-r-plus-v1:0", _CHAT),
    _other("AI21 Labs", "ai21.jamba-1-5-large-v1:0", _CHAT),
    _other("AI21 Labs", "ai21.jamba-1-5-mini-v1:0", _CHAT),
    _other("DeepSeek", "deepseek.v3-v1:0", _OPEN_WEIGHT),
    _other("DeepSeek", "deepseek.r1-v1:0", _DEEPSEEK_R1, "us", on_demand=False),
    _other("Qwen", "qwen.qwen3-32b-v1:0", _OPEN_WEIGHT),
    _other("Qwen", "qwen.qwen3-coder-480b-a35b-v1:0", _OPEN_WEIGHT),
    _other("Qwen", "qwen.qwen3-vl-235b-a22b", _OPEN_WEIGHT_VISION),
    _other("OpenAI", "openai.gpt-oss-120b-1:0", _OPEN_WEIGHT, "us-gov"),
    _other("OpenAI", "openai.gpt-oss-20b-1:0", _OPEN_WEIGHT, "us-gov"),
    _other("Writer", "writer.palmyra-x5-v1:0", _PALMYRA, "us", on_demand=False),
    _other("Z.AI", "zai.glm-4.7", _OPEN_WEIGHT),
    _other("Moonshot AI", "moonshot.kimi-k2-thinking", _OPEN_WEIGHT),
    _other("Moonshot AI", "moonshotai.kimi-k2.5", _OPEN_WEIGHT_VISION),
    _other("MiniMax", "minimax.minimax-m2", _OPEN_WEIGHT),
    # The rest of the public list of models and prices, as of November 2026.
    _claude("claude-opus-4-20250514", "-v1:0", "us eu"),
    _claude("claude-3-7-sonnet-20250219", "-v1:0", "us eu apac", on_demand=True),
    _claude("claude-3-5-sonnet-20240620", "-v1:0", "us eu", on_demand=True),
    _claude("claude-3-5-sonnet-20241022", "-v2:0", "us eu", on_demand=True),
    _claude("claude-3-opus-20240229", "-v1:0", "us eu", on_demand=True),
    _other("Amazon", "amazon.nova-premier-v1:0", _NOVA, "us"),
    _other("Qwen", "qwen.qwen3-coder-30b-a3b-v1:0", _OPEN_WEIGHT),
    _other("Qwen", "qwen.qwen3-235b-a22b-2507-v1:0", _OPEN_WEIGHT),
    _other("Qwen", "qwen.qwen3-next-80b-a3b", _OPEN_WEIGHT),
    _other("DeepSeek", "deepseek.v3.2", _OPEN_WEIGHT, "us eu"),
    _other("Z.AI", "zai.glm-4.7-flash", _OPEN_WEIGHT),
    _other("MiniMax", "minimax.minimax-m2.1", _OPEN_WEIGHT),
    _other("Meta", "meta.llama4-scout-17b-instruct-v1:0", _LLAMA_4, "us"),
    _other("AI21 Labs", "ai21.j2-mid-v1", _OLD),
    _other("AI21 Labs", "ai21.j2-ultra-v1", _OLD),
    _other("AI21 Labs", "ai21.jamba-instruct-v1:0", _CHAT),
    _other("Amazon", "amazon.nova-2-pro-preview-20251202-v1:0", _NOVA_2, "us eu apac"),
    _other("Amazon", "amazon.titan-text-lite-v1", _OLD),
    _other("Amazon", "amazon.titan-text-premier-v1:0", _OLD),
    _other("Cohere", "cohere.command-light-text-v14", _OLD),
    _other("Cohere", "cohere.command-text-v14", _OLD),
    _other("Google", "google.gemma-3-12b-it", _SEEING),
    _other("Google", "google.gemma-3-27b-it", _SEEING),
    _other("Google", "google.gemma-3-4b-it", _SEEING),
    _other("Meta", "meta.llama2-13b-chat-v1", _OLD),
    _other("Meta", "meta.llama2-70b-chat-v1", _OLD),
    _other("Meta", "meta.llama3-1-405b-instruct-v1:0", _LLAMA, "us"),
    _other("Meta", "meta.llama3-1-70b-instruct-v1:0", _LLAMA, "us"),
    _other("Meta", "meta.llama3-1-8b-instruct-v1:0", _LLAMA, "us"),
    _other("Meta", "meta.llama3-2-11b-instruct-v1:0", _LLAMA_4, "us"),
    _other("Meta", "meta.llama3-2-1b-instruct-v1:0", _LLAMA, "us eu"),
    _other("Meta", "meta.llama3-2-3b-instruct-v1:0", _LLAMA, "us eu"),
    _other("Meta", "meta.llama3-2-90b-instruct-v1:0", _LLAMA_4, "us"),
    _other("Meta", "meta.llama3-70b-instruct-v1:0", _LLAMA),
    _other("Meta", "meta.llama3-8b-instruct-v1:0", _LLAMA),
    _other("MiniMax", "minimax.minimax-m2.5", _OPEN_WEIGHT),
    _other("Mistral AI", "mistral.devstral-2-123b", _OPEN_WEIGHT),
    _other("Mistral AI", "mistral.magistral-small-2509", _OPEN_WEIGHT),
    _other("Mistral AI", "mistral.ministral-3-14b-instruct", _OPEN_WEIGHT),
    _other("Mistral AI", "mistral.ministral-3-3b-instruct", _OPEN_WEIGHT),
    _other("Mistral AI", "mistral.ministral-3-8b-instruct", _OPEN_WEIGHT),
    _other("Mistral AI", "mistral.mistral-large-2407-v1:0", _MISTRAL),
    _other("Mistral AI", "mistral.mistral-large-3-675b-instruct", _OPEN_WEIGHT),
    _other("Mistral AI", "mistral.mistral-small-2402-v1:0", _MISTRAL),
    _other("Mistral AI", "mistral.mixtral-8x7b-instruct-v0:1", _OLD),
    _other("Mistral AI", "mistral.voxtral-mini-3b-2507", _OPEN_WEIGHT),
    _other("Mistral AI", "mistral.voxtral-small-24b-2507", _OPEN_WEIGHT),
    _other("Moonshot AI", "moonshotai.kimi-k3", _OPEN_WEIGHT_VISION, "global us in"),
    _other("Moonshot AI", "moonshotai.kimi-k3.1", _OPEN_WEIGHT_VISION, "global us in"),
    _other("NVIDIA", "nvidia.nemotron-nano-12b-v2", _OPEN_WEIGHT_VISION, "us-gov"),
    _other("NVIDIA", "nvidia.nemotron-nano-3-30b", _OPEN_WEIGHT, "us-gov"),
    _other("NVIDIA", "nvidia.nemotron-nano-9b-v2", _OPEN_WEIGHT, "us-gov"),
    _other("NVIDIA", "nvidia.nemotron-super-3-120b", _OPEN_WEIGHT, "us-gov"),
    _other("OpenAI", "openai.gpt-5.4", _GPT, "global us", on_demand=False),
    _other("OpenAI", "openai.gpt-5.5", _GPT, "global us", on_demand=False),
    _other("OpenAI", "openai.gpt-5.6-luna", _GPT, "global us", on_demand=False),
    _other("OpenAI", "openai.gpt-5.6-sol", _GPT, "global us", on_demand=False),
    _other("OpenAI", "openai.gpt-5.6-terra", _GPT, "global us", on_demand=False),
    _other("OpenAI", "openai.gpt-6-astra", _GPT, "global us", on_demand=False),
    _other("OpenAI", "openai.gpt-6-luna", _GPT, "global us"),
    _other("OpenAI", "openai.gpt-6-sol", _GPT, "global us"),
    _other("OpenAI", "openai.gpt-6.1-sol", _GPT, "global us", on_demand=False),
    _other("OpenAI", "openai.gpt-6.1-terra", _GPT, "global us", on_demand=False),
    _other("OpenAI", "openai.gpt-oss-safeguard-120b", _OPEN_WEIGHT),
    _other("OpenAI", "openai.gpt-oss-safeguard-20b", _OPEN_WEIGHT),
    _other("Qwen", "qwen.qwen3-coder-next", _OPEN_WEIGHT),
    _other("Writer", "writer.palmyra-vision-7b", _PALMYRA),
    _other("Writer", "writer.palmyra-x4-v1:0", _PALMYRA, "us"),
    _other("xAI", "xai.grok-4.6", _GPT, "global us us-gov", on_demand=False),
    _other("xAI", "xai.grok-4.7", _GPT, "global us us-gov", on_demand=False),
    _other("Z.AI", "zai.glm-5", _OPEN_WEIGHT),
    _other("Z.AI", "zai.glm-5.3", _OPEN_WEIGHT, "global us", on_demand=False),
)
