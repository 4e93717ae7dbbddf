"""Endpoints of AWS's services, held against botocore's own rules."""

from __future__ import annotations

import pytest
from botocore.endpoint_provider import EndpointProvider
from botocore.session import Session

from anthropic_bedrock_proxy.aws.endpoints import endpoint_url

LOADER = Session().get_component("data_loader")
PARTITIONS = LOADER.load_data("partitions")
PROVIDERS = {
    service: EndpointProvider(LOADER.load_service_model(service, "endpoint-rule-set-1"), PARTITIONS)
    for service in ("bedrock-runtime", "bedrock", "dynamodb")
}


@pytest.mark.parametrize("dualstack", [False, True])
@pytest.mark.parametrize("fips", [False, True])
@pytest.mark.parametrize(
    "region",
    [
        "us-east-1",
        "eu-central-1",
        "ap-southeast-2",
        "us-gov-west-1",
        "us-gov-east-1",
        "cn-north-1",
        "eusc-de-east-1",
        "us-iso-east-1",
        "us-isob-east-1",
        "us-isof-south-1",
        "eu-isoe-west-1",
    ],
)
@pytest.mark.parametrize("service", PROVIDERS)
def test_as_botocore(service, region, fips, dualstack):
    found = PROVIDERS[service].resolve_endpoint(Region=region, UseFIPS=fips, UseDualStack=dualstack)
    assert endpoint_url(service, region, fips=fips, dualstack=dualstack) == found.url
