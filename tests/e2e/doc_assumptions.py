"""What pages take for granted, leave to the reader, and promise: for test_docs_commands.py."""

from __future__ import annotations

import json
import sys

from recipes import CLIENTS
from servers import ROOT

MASTER = "sk-master-of-the-docs"
SECRET = "5ecre7" * 11
SETTINGS = f"""
AWS_REGION=us-east-1
AWS_ACCESS_KEY_ID=any
AWS_SECRET_ACCESS_KEY=any
BEDROCK_ENDPOINT_URL=http://127.0.0.1:8099
DYNAMODB_ENDPOINT_URL=http://127.0.0.1:8002
PRICING_ENDPOINT_URL=http://127.0.0.1:8099
MASTER_API_KEY={MASTER}
PROVIDER_KEY_ENCRYPTION_SECRET={SECRET}
"""
# What pages leave to the reader, and what this world has in its place; those that
# are made when it begins come on top.
PUT_IN = {
    "AKIA...": "AKIAIOSFODNN7EXAMPLE",
    "AWS_BEARER_TOKEN_BEDROCK=...": "AWS_BEARER_TOKEN_BEDROCK=any",
    "MASTER_API_KEY=...": f"MASTER_API_KEY={MASTER}",
    "PROVIDER_BEARER_TOKEN=...": "PROVIDER_BEARER_TOKEN=any",
    "PROVIDER_SECRET_ACCESS_KEY=...": "PROVIDER_SECRET_ACCESS_KEY=any",
    "SANDBOX_TOKEN=...": f"SANDBOX_TOKEN={SECRET}",
    "pk-lf-…:sk-lf-…": "pk-lf-1:sk-lf-2",
    "proxy@sha256:...": f"proxy@sha256:{'0' * 64}",
    "-c image=...": f"-c image=registry.example.com/proxy@sha256:{'0' * 64}",
    "--load-balancer-arn ARN": '--load-balancer-arn "$ARN"',
    "state api-keys usage model-mapping": "state usage",  # each call of AWS's command is a second
    "litellm.example.com": "127.0.0.1",
    "https://docs.python.org/3/whatsnew/3.14.html": "http://127.0.0.1:8090/page.html",
    "redis.internal": "127.0.0.1",
    # Places on the reader's machine.
    "proxy backup /data/": "proxy backup /backups/container-",  # of a container
    "/backups": "$HOME/backups",
    "/var/lib/anthropic-bedrock-proxy": "$HOME/root",
    ".venv/bin/python": "python",
    "/opt/proxy/bin/anthropic-bedrock-proxy": "anthropic-bedrock-proxy",
    "/opt/proxy/bin/pip": "pip",
    "/opt/proxy": "opt/proxy",
    ".proxy/bin/pip": "pip",
    "python3 -m pip wheel": f"{sys.executable} -m pip wheel --no-build-isolation",
    "python3 -m venv": "python3 -m venv --without-pip",  # which would take seconds, and is not used
    # There is no terminal: the page says so beside it.
    "tables migrate\n": "tables migrate --yes\n",
}

SIMULATOR = "anthropic-bedrock-proxy bedrock-sim --port 8099"
PROXY = "anthropic-bedrock-proxy serve"
MOTO = f"{sys.executable} -m moto.server --port 8002"
AWS = (
    "export AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:8002"
    " AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any AWS_DEFAULT_REGION="
)
LITELLM = ROOT / "tests" / "migration" / "golden" / "keys_and_budgets"
DYNALITE = f"node {CLIENTS}/node_modules/dynalite/cli.js --port 8002 --createTableMs 0"
PREDECESSOR = f"""PYTHONPATH=$PYTHONPATH:{ROOT}/tests/support {sys.executable} - <<'END'
import asyncio
import dynamo_servers
import predecessor_tables
from anthropic_bedrock_proxy.store.dynamodb.schema import create_tables
from anthropic_bedrock_proxy.store.dynamodb.tables import TableNames

async def fill():
    client = dynamo_servers.client("http://127.0.0.1:8002")
    await create_tables(client, TableNames())
    await predecessor_tables.fill(client, TableNames())
    await client.close()

asyncio.run(fill())
END"""
ADMINISTRATOR = "--name reader --admin-scope usage:read --json | jq -r .key >billing.key"
NO_ACCESS = {
    "match": {"model": "opus-5-5"},
    "error": {"type": "AccessDeniedException", "message": "You don't have access to the model."},
    "times": "forever",
}
SUMS = (
    "import os; open(os.environ['OUTPUT_DIR'] + '/sums.csv', 'w').write(open('sales.csv').read())"
)
MODEL_WRITES_CODE = [
    {"match": {"body": "toolu_"}, "reply": {"content": [{"type": "text", "text": "Done."}]}},
    {
        "reply": {
            "content": [
                {
                    "type": "tool_use",
                    "id": "toolu_1",
                    "name": "code_execution",
                    "input": {"code": SUMS},
                }
            ]
        }
    },
]
MODEL_SEARCHES = [
    {
        "match": {"body": "toolu_"},
        "reply": {"content": [{"type": "text", "text": "In October 2025."}]},
    },
    {
        "match": {"body": "web_search"},  # not what doctor asks
        "reply": {
            "content": [
                {
                    "type": "tool_use",
                    "id": "toolu_1",
                    "name": "web_search",
                    "input": {"query": "Python 3.14 release"},
                }
            ]
        },
    },
]
LOCAL_PAGE = "http://127.0.0.1:8090/page.html"
MODEL_FETCHES = [
    {
        "match": {"body": "toolu_"},
        "reply": {"content": [{"type": "text", "text": "Annotations are deferred."}]},
    },
    {
        "match": {"body": "web_fetch"},  # not what doctor asks
        "reply": {
            "content": [
                {
                    "type": "tool_use",
                    "id": "toolu_1",
                    "name": "web_fetch",
                    "input": {"url": LOCAL_PAGE},
                }
            ]
        },
    },
]
LISTED = {
    "litellm_provider": "bedrock",
    "mode": "chat",
    "input_cost_per_token": 1e-6,
    "output_cost_per_token": 5e-6,
}
# What a page takes for granted.
BEFORE = {
    "docs/how-to/backup.md": (
        "mkdir ~/backups; printf proxy >~/container",
        SIMULATOR,
        MOTO,
        f"{AWS}us-east-1",
        "STORE_URL=dynamodb:// anthropic-bedrock-proxy tables create",
    ),
    "README.md": (SIMULATOR, PROXY),
    "docs/how-to/api-docs.md": (SIMULATOR, PROXY),
    "docs/how-to/budgets.md": (
        SIMULATOR,
        f"echo '{json.dumps({'anthropic.claude-haiku-4-5-20251001-v1:0': LISTED})}' >list.json",
    ),
    "docs/how-to/clients.md": (SIMULATOR, PROXY),
    "docs/how-to/doctor.md": (
        SIMULATOR,
        "export PTC_SANDBOX_IMAGE=sandbox:minimal",
        "anthropic-bedrock-proxy models map team-opus us.anthropic.claude-opus-5-5",
        f"curl -sSf http://127.0.0.1:8099/_sim/script -d '{json.dumps(NO_ACCESS)}'".replace(
            "n't", "n\\u0027t"
        ),
    ),
    "docs/how-to/dynamodb.md": (MOTO, f"{AWS}eu-central-1"),
    "docs/how-to/ecs.md": (
        MOTO,
        f"{AWS}eu-central-1 AWS_ENDPOINT_URL=http://127.0.0.1:8002",
        "STORE_URL=dynamodb:// AWS_REGION=eu-central-1 anthropic-bedrock-proxy tables create",
        "subnets=$(aws ec2 describe-subnets --query 'Subnets[:2].SubnetId' --output text)",
        "aws elbv2 create-load-balancer --name proxy --subnets $subnets >balancer.json",
        "ARN=$(jq -r '.LoadBalancers[0].LoadBalancerArn' balancer.json)",
    ),
    "docs/how-to/explain.md": (PROXY,),
    "docs/how-to/files.md": (
        "export PTC_SANDBOX_IMAGE=sandbox:minimal",
        "echo January,1 >sales.csv",
        f"cat >steps.json <<'END'\n{json.dumps(MODEL_WRITES_CODE)}\nEND",
        f"{SIMULATOR} --script steps.json",
        PROXY,
    ),
    "docs/how-to/health.md": (PROXY,),
    "docs/how-to/install.md": ("set -a; . ./.env; set +a",),  # in a clone, too
    "docs/how-to/limits.md": (
        "anthropic-bedrock-proxy teams create red",
        "redis-server --port 6379 --requirepass PASSWORD --save ''",
    ),
    "docs/how-to/migrate.md": (
        DYNALITE,
        PREDECESSOR,
    ),
    "docs/how-to/migrate-litellm.md": (
        SIMULATOR,
        "mkdir -p litellm/key litellm/team litellm/user",
        *(f"cp {LITELLM}/{kind}s.json litellm/{kind}/list" for kind in ("key", "team", "user")),
        f"cp {LITELLM}/config.yaml .",
        f"{sys.executable} -u -m http.server 4000 --bind 127.0.0.1 --directory litellm",
    ),
    "docs/how-to/models.md": (SIMULATOR, "echo bedrock-api-key >token.txt"),
    "docs/how-to/production.md": (SIMULATOR, "export PTC_SANDBOX_IMAGE=sandbox:minimal"),
    "docs/how-to/systemd.md": (PROXY,),
    "docs/how-to/teams.md": (
        PROXY,
        f"anthropic-bedrock-proxy keys create {ADMINISTRATOR}",
    ),
    "docs/how-to/troubleshooting.md": (SIMULATOR,),
    "docs/how-to/upgrade.md": (SIMULATOR,),
    "docs/how-to/web-search.md": (
        f"{sys.executable} {ROOT}/tests/support/fake_search.py searxng --port 8080",
        "export WEB_SEARCH_PROVIDER=searxng WEB_SEARCH_URL=http://127.0.0.1:8080",
        SIMULATOR,
        f"curl -sSf http://127.0.0.1:8099/_sim/script -d '{json.dumps(MODEL_SEARCHES)}'",
        PROXY,
    ),
    "docs/how-to/web-fetch.md": (
        "mkdir pages; echo '<title>What is new in Python 3.14</title><p>Much.' >pages/page.html",
        f"{sys.executable} -u -m http.server 8090 --bind 127.0.0.1 --directory pages",
        "export FETCH_ALLOW_PRIVATE=true FETCH_ALLOWED_PORTS=8090",
        SIMULATOR,
        f"curl -sSf http://127.0.0.1:8099/_sim/script -d '{json.dumps(MODEL_FETCHES)}'",
        PROXY,
    ),
    "docs/reference/cli.md": (PROXY, f"echo {MASTER} >admin.key"),
    "docs/reference/data.md": ("mkdir ~/backups",),
}
# Pages whose programs wait until this command has been typed.
PROGRAMS_AFTER = {"docs/how-to/code-execution.md": "AWS_SECRET_ACCESS_KEY=any anthropic"}
# What the page has promised when it has been followed.
AFTER = {
    "docs/how-to/budgets.md": "anthropic-bedrock-proxy prices list | grep -q synced",
    "docs/how-to/files.md": "grep -q January sums.csv",
    "docs/how-to/keys.md": "test -s usage.csv",
    "docs/reference/data.md": "test -s ~/backups/*.db",
}
EXIT_CODES = {("docs/how-to/doctor.md", "anthropic-bedrock-proxy doctor"): 1}  # it shows a FAIL
# Lines that a page shows and this world has not, by how they begin.
NOT_HERE = {
    ("docs/how-to/doctor.md", "warn  clock"): "clocks agree here",
    ("docs/how-to/doctor.md", "                       -> let NTP"): "clocks agree here",
    ("docs/how-to/doctor.md", "ok    open files"): "how many there may be is this machine's",
}
