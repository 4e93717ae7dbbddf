"""An installation of LiteLLM moves over: its clients keep their keys and names of models."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest
from servers import AWS_KEY_ID, AWS_SECRET, command, proxy_environment

from anthropic_bedrock_proxy.store.secrets import hash_secret

SECRET = "sk-key-that-litellm-made-1234"
CONFIG = """
model_list:
  - model_name: our-haiku
    litellm_params:
      model: bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0
      aws_region_name: us-east-1
      aws_access_key_id: os.environ/AWS_ACCESS_KEY_ID
      aws_secret_access_key: os.environ/AWS_SECRET_ACCESS_KEY
  - model_name: our-haiku
    litellm_params:
      model: bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0
      aws_region_name: us-west-2
      aws_bedrock_runtime_endpoint: {url}
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
"""
KEYS = [
    {
        "token": hash_secret(SECRET).hex(),
        "key_name": "sk-...1234",
        "key_alias": "ci",
        "models": ["our-haiku"],
        "max_budget": 5.0,
        "budget_duration": "30d",
    }
]


@pytest.fixture
def moved(simulator, start, tmp_path):
    """A proxy that was started with what `migrate litellm` said and kept."""
    folder = tmp_path / "moved"
    folder.mkdir()
    (folder / "config.yaml").write_text(CONFIG.format(url=simulator.url))
    (folder / "keys.json").write_text(json.dumps({"keys": KEYS, "total_count": 1}))
    environment = proxy_environment(folder, simulator.url, {})
    words = ("migrate", "litellm", "config.yaml", "--keys", "keys.json", "--apply")
    plan = command(folder, environment, *words)
    assert {one["state"] for one in plan["outcomes"]} == {"done"}
    settings = {line["name"]: line["value"] for line in plan["settings"]}
    lines = [f"{name}='{value}'" for name, value in settings.items()]
    (folder / ".env").write_text("\n".join(lines))
    return start(
        folder,
        make_key=False,
        AWS_REGION=None,
        MASTER_API_KEY=None,
        LITELLM_MASTER_KEY="sk-master-of-litellm",
        AWS_ACCESS_KEY_ID=AWS_KEY_ID,
        AWS_SECRET_ACCESS_KEY=AWS_SECRET,
    )


def ask(proxy, secret, model="our-haiku"):
    """Status, headers and document of the answer to one request."""
    messages = [{"role": "user", "content": "Hello"}]
    body = json.dumps({"model": model, "max_tokens": 20, "messages": messages}).encode()
    headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}
    request = urllib.request.Request(f"{proxy.url}/v1/messages", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, json.load(error)


def test_a_client_of_litellm_goes_on_with_its_key(moved, sim):
    status, _, answer = ask(moved, SECRET)
    assert (status, answer.get("model")) == (200, "our-haiku"), answer
    _, _, refusal = ask(moved, SECRET, "claude-sonnet-4-5")
    assert refusal["error"]["details"]["error_code"] == "model_not_allowed"
    assert ask(moved, f"{SECRET}x")[0] == 401
    assert ask(moved, "sk-master-of-litellm")[0] == 200


def test_what_were_deployments_of_one_name_is_tried_in_turn(moved, sim):
    sim.script([{"error": {"type": "ThrottlingException", "message": "slow"}}])
    status, headers, _ = ask(moved, SECRET)
    assert (status, headers["x-bedrock-target"]) == (200, "us-west-2/invoke")
