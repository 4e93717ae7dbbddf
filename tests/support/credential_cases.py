"""Every origin of AWS credentials, as an environment and files of a home of its own."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from anthropic_bedrock_proxy.aws.resolver.resolver import Identity

ROLE = "arn:aws:iam::123456789012:role/team/bedrock"
STATIC = "aws_access_key_id = AKIABASE\naws_secret_access_key = s\n"
PROCESS = """\
import json, pathlib, sys, time
home = pathlib.Path(__file__).parent
with (home / "runs").open("a") as runs:
    runs.write("x")
mode, lifetime = json.loads((home / "mode.json").read_text())
if mode == "hang":
    time.sleep(60)
if mode == "refuse":
    sys.exit("the vault said no")
if mode == "garbage":
    sys.exit(print("{garbage"))
count = len((home / "runs").read_text())
ends = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + lifetime))
print(json.dumps({"Version": 1, "AccessKeyId": f"KEY{count}", "SecretAccessKey": "s",
    "SessionToken": "t", "Expiration": ends + "Z"}))
"""


@dataclass
class Origin:
    """One case. `set_mode(mode)` is like `FakeAWS.mode`."""

    environ: dict[str, str]
    set_mode: Callable[[str], None]
    identity: Identity


def _identity(**fields):
    return Identity(name="the origin", region="us-east-1", **fields)


def _over_http(aws, environ, identity=None):
    def set_mode(mode):
        aws.mode = mode

    return Origin(environ, set_mode, identity or _identity())


def _config(home, text):
    (home / ".aws").mkdir(exist_ok=True)
    (home / ".aws" / "config").write_text(text)


def role_chain(home, aws):
    _config(
        home,
        f"[profile outer]\nrole_arn = {ROLE}\nsource_profile = inner\nduration_seconds = 900\n"
        f"[profile inner]\nrole_arn = {ROLE}2\nsource_profile = base\n[profile base]\n{STATIC}",
    )
    return _over_http(aws, {"AWS_ENDPOINT_URL_STS": aws.url}, _identity(profile="outer"))


def role_of_a_provider(home, aws):
    return _over_http(
        aws,
        {"AWS_ENDPOINT_URL_STS": aws.url},
        _identity(
            access_key_id="AKIAOWN", secret_access_key="s", role_arn=ROLE, external_id="a b+c/d=e"
        ),
    )


def process(home, aws):
    (home / "process.py").write_text(PROCESS)
    _config(home, f"[profile vault]\ncredential_process = {sys.executable} {home}/process.py\n")

    def set_mode(mode):
        (home / "mode.json").write_text(json.dumps([mode, aws.lifetime + 1]))  # whole seconds

    return Origin({}, set_mode, _identity(profile="vault"))


def web_identity(home, aws):
    (home / "token").write_text("a.b.c")
    environ = {
        "AWS_ENDPOINT_URL_STS": aws.url,
        "AWS_ROLE_ARN": ROLE,
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(home / "token"),
    }
    return _over_http(aws, environ)


def container(home, aws):
    environ = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{aws.url}/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "ecs-token",
    }
    return _over_http(aws, environ)


def pod_identity(home, aws):
    (home / "eks-token").write_text("eks-token")
    environ = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{aws.url}/v1/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(home / "eks-token"),
    }
    return _over_http(aws, environ)


def instance(home, aws):
    environ = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": aws.url, "AWS_EC2_METADATA_DISABLED": "false"}
    return _over_http(aws, environ)


def sso(home, aws):
    _config(
        home,
        "[profile corp]\nsso_session = work\nsso_account_id = 123456789012\nsso_role_name = r\n"
        "[sso-session work]\nsso_start_url = https://example.com/start\nsso_region = us-east-1\n",
    )
    cache = home / ".aws" / "sso" / "cache"
    cache.mkdir(parents=True)
    token = {
        "startUrl": "https://example.com/start",
        "region": "us-east-1",
        "accessToken": "sso-token",
        "expiresAt": (datetime.now(UTC) + timedelta(hours=8)).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    (cache / f"{hashlib.sha1(b'work').hexdigest()}.json").write_text(json.dumps(token))
    return _over_http(aws, {"AWS_ENDPOINT_URL_SSO": aws.url}, _identity(profile="corp"))


EXPIRING = {
    "role chain": role_chain,
    "role of a place": role_of_a_provider,
    "process": process,
    "web identity": web_identity,
    "container": container,
    "pod identity": pod_identity,
    "instance metadata": instance,
    "SSO": sso,
}
