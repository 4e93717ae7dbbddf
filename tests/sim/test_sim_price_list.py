"""GetProducts of the simulator, with boto3 as the client that AWS would have."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

FOUNDATION = "AmazonBedrockFoundationModels"
HERE = {"Type": "TERM_MATCH", "Field": "regionCode", "Value": "us-east-1"}


def products(boto, service=FOUNDATION, **asked):
    return boto("pricing").get_products(ServiceCode=service, **asked)


def test_an_entry_has_the_shape_of_aws_s(boto, sim):
    listed = [json.loads(text) for text in products(boto, Filters=[HERE])["PriceList"]]
    named = {entry["product"]["attributes"]["usagetype"]: entry for entry in listed}
    entry = named["USE1-MP:USE1_output_tokens_global_standard-Units"]
    about = entry["product"]["attributes"]
    assert about["servicename"] == "Claude Opus 5.5 (Amazon Bedrock Edition)"
    assert {one["product"]["attributes"]["regionCode"] for one in listed} == {"us-east-1"}
    (term,) = entry["terms"]["OnDemand"].values()
    (dimension,) = term["priceDimensions"].values()
    assert (dimension["unit"], dimension["pricePerUnit"]) == (
        "1M tokens",
        {"USD": "20.0000000000"},
    )
    (logged,) = sim.requests()
    assert (logged["operation"], logged["auth"]) == ("GetProducts", "sigv4")


def test_pages_follow_each_other(boto):
    every = products(boto, Filters=[HERE])["PriceList"]
    paged = []
    token = {}
    while True:
        page = products(boto, Filters=[HERE], MaxResults=7, **token)
        paged += page["PriceList"]
        assert len(page["PriceList"]) <= 7
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert paged == every


@pytest.mark.parametrize(
    ("kind", "value", "found"),
    [
        ("EQUALS", "Nova Pro", {"Nova Pro"}),
        ("CONTAINS", "Nova", {"Nova Pro", "Nova Canvas"}),
        ("ANY_OF", "GLM 5,Nova Canvas", {"GLM 5", "Nova Canvas"}),
        ("NONE_OF", "GLM 5,Nova Canvas", {"Nova Pro"}),
    ],
)
def test_filters(boto, kind, value, found):
    wanted = [HERE, {"Type": kind, "Field": "model", "Value": value}]
    listed = products(boto, "AmazonBedrock", Filters=wanted)["PriceList"]
    models = {json.loads(text)["product"]["attributes"]["model"] for text in listed}
    assert models == found


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"service": "AmazonEC3"}, "InvalidParameterException"),
        ({"FormatVersion": "aws_v2"}, "InvalidParameterException"),
        ({"MaxResults": 100, "NextToken": "elsewhere"}, "InvalidNextTokenException"),
    ],
)
def test_what_aws_refuses_is_refused(boto, asked, code):
    with pytest.raises(ClientError) as caught:
        products(boto, **asked)
    assert caught.value.response["Error"]["Code"] == code


def test_a_wrong_signature_is_refused(boto):
    with pytest.raises(ClientError, match="signature"):
        boto("pricing", aws_secret_access_key="wrong").get_products(ServiceCode=FOUNDATION)


def test_a_bearer_token_does_not_open_it(ask):
    target = {"x-amz-target": "AWSPriceListService.GetProducts"}
    status, _, body = ask("/", {**target, "content-type": "application/x-amz-json-1.1"})
    assert (status, json.loads(body)["__type"]) == (403, "MissingAuthenticationTokenException")
