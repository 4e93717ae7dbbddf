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
def test_places(environ, expected):
    base = {"AWS_EC2_METADATA_DISABLED": "true"}
    assert hint({**base, **environ}, default_profile=False) == expected


@pytest.mark.parametrize(("gives", "expected"), [(True, "the default AWS profile"), (False, None)])
def test_a_profile_counts_if_it_gives_keys(gives, expected):
    assert hint({"AWS_EC2_METADATA_DISABLED": "true"}, default_profile=gives) == expected
