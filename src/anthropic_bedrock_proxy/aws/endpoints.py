"""The endpoints of AWS's services, by service and region.

Source: AWS's own endpoint rules (partitions.json and the rule sets of bedrock-runtime, bedrock and
dynamodb, as botocore ships them); `tests/aws/test_endpoints.py` holds this against them.
"""

from __future__ import annotations

from typing import Final

# Prefix of a region's name, its domain, and the domain of its dualstack endpoints.
_DOMAINS: Final = (
    ("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    ("eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
    ("us-iso-", "c2s.ic.gov", "api.aws.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov", "api.aws.scloud"),
    ("us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    ("", "amazonaws.com", "api.aws"),
)


def endpoint_url(service: str, region: str, *, fips: bool = False, dualstack: bool = False) -> str:
    """Returns the URL of a service in a region, without a path."""
    domain, both = next(
        (domain, both) for start, domain, both in _DOMAINS if region.startswith(start)
    )
    # In GovCloud the plain endpoint of DynamoDB is the FIPS one.
    plain = service == "dynamodb" and region.startswith("us-gov-") and not dualstack
    name = f"{service}-fips" if fips and not plain else service
    return f"https://{name}.{region}.{both if dualstack else domain}"
