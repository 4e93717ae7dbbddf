"""Where credentials would come from, told without any network."""

from __future__ import annotations

import pytest

from anthropic_bedrock_proxy.aws.resolver.hint import hint


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"AWS_ACCESS_KEY_ID": "a"}, "AWS keys from the environment"),
        ({"AWS_WEB_IDENTITY_TOKEN_FILE": "/t"}, "a web identity token"),
        ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://x"}, "the container's role"),
        ({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/x"}, "the container's role"),
        ({"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://x"}, None),
        (
            {
                "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://x",
                "AWS_EC2_METADATA_DISABLED": "false",
            },
            "the instance's role",
        ),
        ({}, None),
    ],
)
def test_places(tmp_path, environ, expected):
    base = {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
    assert hint({**base, **environ}) == expected


@pytest.mark.parametrize("name", ["config", "credentials"])
def test_profile_files(tmp_path, name):
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / name).write_text("[default]\n")
    assert hint({"HOME": str(tmp_path)}) == "the default AWS profile"


def test_profile_files_elsewhere(tmp_path):
    base = {"HOME": str(tmp_path / "none"), "AWS_EC2_METADATA_DISABLED": "true"}
    (tmp_path / "mine").write_text("[default]\n")
    for variable in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        assert hint({**base, variable: str(tmp_path / "mine")}) == "the default AWS profile"


@pytest.mark.parametrize("home", ["/" + "x" * 300, "~nobody-of-this-name"])
def test_a_home_that_cannot_be_looked_into_is_none(home):
    assert hint({"HOME": home, "AWS_EC2_METADATA_DISABLED": "true"}) is None
