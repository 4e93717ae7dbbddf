"""The Terraform module refers to what exists, repeats nothing of deploy/aws, and passes checkov.

Terraform itself is in no registry of packages, so the module is read here, and not planned.
"""

from __future__ import annotations

import re
from functools import cache

import hcl2
import pytest
from deployments import DEFAULTS, TERRAFORM, check, fact

FILES = sorted(TERRAFORM.glob("*.tf"))
EXAMPLES = sorted(TERRAFORM.glob("examples/*/*.tf"))
CODE = "\n".join(re.sub(r"#.*", "", path.read_text()) for path in FILES)


def bare(name):
    return name.strip('"')


def blocks(paths, kind):
    """The blocks of a kind, each under its labels."""
    return [block for path in paths for block in parsed(path).get(kind, [])]


@cache
def parsed(path):
    return hcl2.loads(path.read_text())


def declared():
    """Everything that the module declares, as expressions name it."""
    names = {f"var.{bare(name)}" for block in blocks(FILES, "variable") for name in block}
    names |= {f"local.{name}" for block in blocks(FILES, "locals") for name in block}
    for kind, prefix in (("resource", ""), ("data", "data.")):
        for block in blocks(FILES, kind):
            for resource, named in block.items():
                names |= {f"{prefix}{bare(resource)}.{bare(name)}" for name in named}
    return {name for name in names if "__" not in name}  # hcl2's own notes are not the module's


def referred(text):
    found = set(re.findall(r"(?<![\w.])(?:var|local)\.\w+", text))
    return found | set(re.findall(r"(?<![\w.\"])(?:data\.)?(?:aws_\w+|terraform_data)\.\w+", text))


def test_what_is_referred_to_exists():
    assert len(declared()) > 80
    assert referred(CODE) - declared() == set()


def test_every_variable_and_every_local_value_is_used():
    unused = {name for name in declared() if name.startswith(("var.", "local."))} - referred(CODE)
    assert unused == set()


def test_every_variable_and_output_is_described():
    for kind in ("variable", "output"):
        for block in blocks([*FILES, *EXAMPLES], kind):
            for name, body in block.items():
                assert body["description"], name


def test_files_are_read_from_the_facts_that_cdk_reads():
    named = set(re.findall(r"local\.facts\}/([\w.-]+)", CODE))
    there = {path.name for path in (TERRAFORM.parent / "aws").iterdir() if path.suffix != ".py"}
    assert named == {name for name in there if not name.startswith("__")}


def test_no_number_or_path_of_the_facts_is_repeated():
    service = fact("service.json")
    numbers = [
        "port",
        "executor_port",
        "redis_port",
        "deregistration_seconds",
        "balancer_idle_seconds",
    ]
    for text in (*(str(service[name]) for name in numbers), "65532", "/metrics", "/ready"):
        assert not re.search(rf"(?<!\d){re.escape(text)}(?!\d)", CODE), text
    assert not re.search(r"\"(?:bedrock|dynamodb|pricing|ecr|logs):\w+\"", CODE)


def test_every_refusal_of_the_cdk_app_is_one_here():
    refused = re.findall(r"error_message = local\.refusals\.(\w+)", CODE)
    assert sorted(refused) == sorted(fact("refusals.json"))


def test_each_way_between_groups_is_both_in_and_out():
    for side in ("ingress", "egress"):
        body = CODE.partition(f'"aws_vpc_security_group_{side}_rule" "way"')[2].partition("\n}")[0]
        assert "local.ways" in body
    assert not re.search(r'security_group_ingress_rule[^}]*"0\.0\.0\.0/0"', CODE)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_examples_give_options_that_exist_and_those_that_are_needed(path):
    for block in blocks([path], "module"):
        (body,) = block.values()
        given = {name for name in body if not name.startswith("__")} - {"source"}
        assert given <= set(DEFAULTS)
        assert "image" in given
        assert (path.parent / bare(body["source"])).resolve() == TERRAFORM


def test_checkov_finds_nothing():
    assert check(TERRAFORM, "terraform") == []
