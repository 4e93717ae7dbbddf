"""The AWS Price List API, as far as it sells Bedrock: GetProducts over a small list of its own.

Shapes and refusals are those of the `pricing` service model (botocore), JSON 1.1. The rows have the
spellings in which AWS names its prices, among them some that are no price of text tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from zlib import crc32

import msgspec

from .wire.refusal import Refusal

SERVICE = "pricing"
TARGET = "AWSPriceListService.GetProducts"
_CONTENT_TYPE = "application/x-amz-json-1.1"
_MOST_RESULTS = 100
_TOKEN = "page-"  # noqa: S105  # of pages, no secret
# How AWS begins the usage types of a region.
_REGIONS = {
    "us-east-1": "USE1",
    "us-west-2": "USW2",
    "eu-west-1": "EU",
    "ap-northeast-1": "APN1",
}
_EDITION = "(Amazon Bedrock Edition)"
# AWS Marketplace: name -> use -> dollars per million tokens.
_MARKETPLACE = {
    "Claude Opus 5.5": {
        "input_tokens_standard": "4.4000000000",
        "output_tokens_standard": "22.0000000000",
        "cache_read_tokens_standard": "0.4400000000",
        "cache_write_tokens_standard": "5.5000000000",
        "cache_write_tokens_1h_standard": "8.8000000000",
        "input_tokens_global_standard": "4.0000000000",
        "output_tokens_global_standard": "20.0000000000",
        "cache_read_tokens_global_standard": "0.4000000000",
        "cache_write_tokens_global_standard": "5.0000000000",
        "cache_write_tokens_1h_global_standard": "8.0000000000",
        "input_tokens_batch": "2.2000000000",
        "output_tokens_batch": "11.0000000000",
    },
    "Claude Haiku 4.5": {
        "InputTokenCount": "1.1000000000",
        "OutputTokenCount": "5.5000000000",
        "InputTokenCount_Global": "1.0000000000",
        "OutputTokenCount_Global": "5.0000000000",
        "CacheReadInputTokenCount_Global": "0.1000000000",
        "Reserved_1Month_InputTPM_Geo": "0.1980000000",
    },
    "Claude Saga 9": {"input_tokens_standard": "9.0000000000"},
}
# Amazon's own and open models: name -> use -> unit, dollars per unit, AWS's word for the use.
_OWN = {
    "Nova Pro": {
        "NovaPro-input-tokens": ("1K tokens", "0.0008800000", "Input tokens"),
        "NovaPro-output-tokens": ("1K tokens", "0.0035200000", "Output tokens"),
        "NovaPro-input-tokens-batch": ("1K tokens", "0.0004400000", "Input tokens batch"),
        "NovaPro-cache-read-input-token-count": (
            "1K tokens",
            "0.0002200000",
            "Prompt cache read input tokens",
        ),
    },
    "Nova Canvas": {"NovaCanvas-T2I-1024-Standard": ("image", "0.0400000000", "T2I 1024 Standard")},
    "GLM 5": {
        "zai.glm-5-mantle-input-tokens-standard": ("1M tokens", "1.0000000000", ""),
        "zai.glm-5-mantle-output-tokens-standard": ("1M tokens", "3.2000000000", ""),
    },
}


class _Filter(msgspec.Struct):
    kind: str = msgspec.field(name="Type")
    field: str = msgspec.field(name="Field")
    value: str = msgspec.field(name="Value")

    def takes(self, attributes: Mapping[str, str]) -> bool:
        given = attributes.get(self.field, "")
        match self.kind:
            case "TERM_MATCH" | "EQUALS":
                return given == self.value
            case "CONTAINS":
                return self.value in given
            case "ANY_OF":
                return given in self.value.split(",")
            case "NONE_OF":
                return given not in self.value.split(",")
        raise _invalid(f"Unknown filter type {self.kind}")


class _Asked(msgspec.Struct):
    service: str = msgspec.field(name="ServiceCode")
    filters: list[_Filter] = msgspec.field(name="Filters", default=[])
    version: str = msgspec.field(name="FormatVersion", default="aws_v1")
    token: str | None = msgspec.field(name="NextToken", default=None)
    most: int = msgspec.field(name="MaxResults", default=_MOST_RESULTS)


def get_products(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """Answers with a page of entries. Raises `Refusal`."""
    if headers.get("content-type") != _CONTENT_TYPE:
        raise Refusal("UnknownOperationException", "")
    try:
        asked = msgspec.json.decode(body, type=_Asked)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Refusal("SerializationException", str(error)) from error
    if asked.service not in ("AmazonBedrock", "AmazonBedrockFoundationModels"):
        raise _invalid(f"Invalid service code {asked.service}")
    if asked.version != "aws_v1":
        raise _invalid(f"Invalid format version {asked.version}")
    if not 1 <= asked.most <= _MOST_RESULTS:
        raise _invalid(f"MaxResults must be between 1 and {_MOST_RESULTS}")
    start = _start(asked.token)
    found = [
        entry
        for entry in _entries(asked.service)
        if all(one.takes(entry["product"]["attributes"]) for one in asked.filters)
    ]
    page: dict[str, Any] = {
        "FormatVersion": "aws_v1",
        "PriceList": [
            msgspec.json.encode(entry).decode() for entry in found[start : start + asked.most]
        ],
    }
    if start + asked.most < len(found):
        page["NextToken"] = f"{_TOKEN}{start + asked.most}"
    return page


def _start(token: str | None) -> int:
    if token is None:
        return 0
    number = token.removeprefix(_TOKEN)
    if not token.startswith(_TOKEN) or not number.isdecimal():
        raise Refusal("InvalidNextTokenException", "The pagination token is invalid.")
    return int(number)


def _entries(service: str) -> Iterator[dict[str, Any]]:
    for region, code in _REGIONS.items():
        if service == "AmazonBedrock":
            for model, uses in _OWN.items():
                for use, (unit, dollars, kind) in uses.items():
                    about = {"model": model, "servicename": "Amazon Bedrock"}
                    if kind:
                        about["inferenceType"] = kind
                    about["usagetype"] = f"{code}-{use}"
                    yield _entry(service, region, about, unit, dollars)
        else:
            for name, rows in _MARKETPLACE.items():
                for use, dollars in rows.items():
                    about = {"servicename": f"{name} {_EDITION}"}
                    about["usagetype"] = f"{code}-MP:{code}_{use}-Units"
                    unit = "1M TPM Hour" if use.startswith("Reserved") else "1M tokens"
                    yield _entry(service, region, about, unit, dollars)


def _entry(
    service: str, region: str, about: Mapping[str, str], unit: str, dollars: str
) -> dict[str, Any]:
    sku = f"SIM{crc32(about['usagetype'].encode()):08X}"
    dimension = {
        "unit": unit,
        "beginRange": "0",
        "endRange": "Inf",
        "description": f"{dollars} per {unit} of {about['usagetype']}",
        "appliesTo": [],
        "pricePerUnit": {"USD": dollars},
    }
    attributes = {"servicecode": service, "regionCode": region, "locationType": "AWS Region"}
    return {
        "product": {
            "productFamily": "Amazon Bedrock",
            "sku": sku,
            "attributes": {**attributes, **about},
        },
        "serviceCode": service,
        "terms": {
            "OnDemand": {
                f"{sku}.JRTCKXETXF": {
                    "sku": sku,
                    "offerTermCode": "JRTCKXETXF",
                    "effectiveDate": "2026-11-01T00:00:00Z",
                    "priceDimensions": {f"{sku}.JRTCKXETXF.6YS6EN2CT7": dimension},
                    "termAttributes": {},
                }
            }
        },
        "version": "20261101000000",
        "publicationDate": "2026-11-01T00:00:00Z",
    }


def _invalid(message: str) -> Refusal:
    return Refusal("InvalidParameterException", message)
