"""Regions that AWS is known to have, and those that look mistyped."""

from __future__ import annotations

from pathlib import Path

import pytest

from anthropic_bedrock_proxy.config.regions import doubt_about


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "us-gov-west-1", "cn-north-1"])
def test_regions_of_aws_are_not_doubted(region):
    assert doubt_about(region) == ""


def test_a_mistyped_one_is_told_with_what_was_meant():
    told = "no region us-wst-2 of AWS is known here; did you mean us-west-2?"
    assert doubt_about("us-wst-2") == told
    assert doubt_about("Frankfurt") == "no region Frankfurt of AWS is known here"


@pytest.mark.parametrize("text", [None, "{}", "no JSON"])
def test_without_the_list_nothing_is_doubted(tmp_path, monkeypatch, text):
    (tmp_path / "botocore/data").mkdir(parents=True)
    Path(tmp_path / "botocore/__init__.py").touch()
    if text is not None:
        (tmp_path / "botocore/data/partitions.json").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "botocore", raising=False)
    assert doubt_about("us-wst-2") == ""
