"""The list of what an image holds, read out of it and held against its files."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from environments import environment

ROOT = Path(__file__).parents[2]
PLACE = "/usr/share/sbom/anthropic-bedrock-proxy.cdx.json"
VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
print(JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read()))
"""
VARIANTS = ("minimal", "ptc", "alpine")
LOCKED = "".join(path.read_text() for path in (ROOT / "requirements").glob("*.txt"))
pytestmark = pytest.mark.parametrize("variant", VARIANTS)


def read(files, variant):
    """The document, and the regular files of the image."""
    archive, members = files(variant)
    document = json.loads(archive.extractfile(members[PLACE]).read())
    return document, {path for path, member in members.items() if member.isreg()}


def components(document, kind):
    """(name, version) of the components whose package URL is of this kind."""
    found = [one for one in document["components"] if one["purl"].startswith(f"pkg:{kind}/")]
    return sorted((one["name"], one["version"]) for one in found)


def test_it_lists_the_packages_of_python_and_no_others(files, variant):
    document, paths = read(files, variant)
    folders = [path.split("/")[-2] for path in paths if path.endswith(".dist-info/METADATA")]
    there = [folder.removesuffix(".dist-info").rsplit("-", 1) for folder in folders]
    normal = sorted((re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in there)
    assert components(document, "pypi") == normal
    assert "anthropic-bedrock-proxy" in dict(normal)


def test_every_shared_library_belongs_to_a_component(files, variant):
    document, paths = read(files, variant)
    libraries = {path for path in paths if re.search(r"\.so(\.[\w.]+)?$", path)}
    named = {
        place["location"]
        for one in document["components"]
        for place in one.get("evidence", {}).get("occurrences", ())
    }
    assert len(libraries) > 20
    assert {path for path in named if ".so" in path} == libraries
    assert len(components(document, "generic")) == 1  # the interpreter
    interpreter, authorities = sorted(named - libraries, reverse=True)
    assert re.search(r"/bin/python[\d.]+$", interpreter)
    assert authorities == "/etc/ssl/certs/ca-certificates.crt"


def test_it_lists_the_packages_of_the_system(files, variant):
    document, _ = read(files, variant)
    archive, members = files(variant)
    listed = components(document, "deb")  # of Debian's: these images stand on no Alpine
    if variant == "alpine":
        status = archive.extractfile(members["/var/lib/dpkg/status"]).read().decode()
        there = re.findall(r"^Package: (.+)$", status, re.MULTILINE)
        assert [name for name, _ in listed] == sorted(there)
    else:
        licensed = {
            path.split("/")[4] for path in members if path.startswith("/usr/share/licenses/")
        }
        assert {name for name, _ in listed} <= licensed
        assert {"libc6", "libssl3", "libsqlite3-0", "python3.11-minimal"} <= dict(listed).keys()


def test_each_component_tells_its_licence_and_whence_it_came(files, variant):
    document, _ = read(files, variant)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    for one in document["components"]:
        assert one["licenses"], one["name"]
        assert one["purl"].partition("?")[0].endswith(f"@{one['version'].replace('+', '%2B')}")
    hashes = [one["hashes"][0] for one in document["components"] if "hashes" in one]
    assert len(hashes) > 10
    for hashed in hashes:
        assert hashed["alg"] == "SHA-256"
        assert f"sha256:{hashed['content']}" in LOCKED


def test_it_is_valid_by_the_schema(files, variant):
    document, _ = read(files, variant)
    requirements = ROOT / "requirements" / "deploy.txt"
    python = environment(ROOT / ".venv-deploy", requirements, "kubernetes-validate")
    command, text = [python, "-c", VALIDATE], json.dumps(document)
    assert subprocess.check_output(command, input=text, text=True) == "None\n"
