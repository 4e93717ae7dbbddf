"""The compose file: what it mounts is there, nothing is open, and each service is locked down."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "compose" / "compose.yml"
COMPOSE = yaml.safe_load(FILE.read_text())
SERVICES = COMPOSE["services"]
OURS = {"proxy", "tables", "sandboxd"}
PROFILES = {"init", "ptc", "redis", "dynamodb", "monitoring"}
DEFAULT = re.compile(r"\$\{\w+:-([^}]*)\}")
SETTINGS = (ROOT / "docs" / "reference" / "settings.md").read_text()


def test_the_proxy_comes_without_a_profile_and_all_others_by_one():
    assert {name for name, one in SERVICES.items() if "profiles" not in one} == {"proxy"}
    assert {name for one in SERVICES.values() for name in one.get("profiles", ())} == PROFILES
    head = FILE.read_text().partition("x-image")[0]
    for name in PROFILES:
        assert f"--profile {name} " in head


def test_what_is_mounted_exists():
    found = [COMPOSE["secrets"]["metrics_token"]["file"]]
    for service in SERVICES.values():
        found += [volume.rsplit(":/", 1)[0] for volume in service.get("volumes", ())]
    paths = [DEFAULT.sub(r"\1", path) for path in found]
    named = {path for path in paths if not path.startswith((".", "/"))}
    assert named == COMPOSE["volumes"].keys()
    for path in paths:
        if path.startswith("."):
            assert (FILE.parent / path).exists(), path


def test_what_is_built_exists():
    for name in OURS:
        build = SERVICES[name]["build"]
        folder = (FILE.parent / build["context"]).resolve()
        text = (folder / build["dockerfile"]).read_text()
        assert f" AS {build['target']}\n" in text


def test_dockers_socket_is_the_executors_alone():
    holders = [name for name, one in SERVICES.items() if "docker.sock" in str(one.get("volumes"))]
    assert holders == ["sandboxd"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_locked_down_and_closed(name):
    service = SERVICES[name]
    assert re.search(r":v?\d+(\.\d+)+(-\w+)*$", DEFAULT.sub(r"\1", service["image"]))
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    if service.get("profiles") != ["monitoring"]:
        assert service["read_only"] is True


def test_no_key_and_no_password_has_a_default():
    for service in SERVICES.values():
        for name, value in (service.get("environment") or {}).items():
            if re.search("KEY|TOKEN|PASSWORD|SECRET", name):
                assert not DEFAULT.sub(r"\1", value or ""), name
    grafana = SERVICES["grafana"]
    assert '[ -n "$$GF_SECURITY_ADMIN_PASSWORD" ] || ' in grafana["entrypoint"][2]
    assert grafana["environment"]["GF_AUTH_ANONYMOUS_ENABLED"] == "false"


@pytest.mark.parametrize("name", sorted(OURS))
def test_settings_are_settings(name):
    for setting in SERVICES[name]["environment"]:
        assert f"| `{setting}` |" in SETTINGS
