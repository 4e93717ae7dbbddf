"""The gates before a model, told apart by the words of AWS."""

from __future__ import annotations

import pytest

from anthropic_bedrock_proxy.aws_errors import NO_CREDENTIALS, TOO_LATE, UpstreamRefusal
from anthropic_bedrock_proxy.diagnosis.gates import judged

DENIED = "AccessDeniedException"


@pytest.mark.parametrize(
    ("code", "words", "gate"),
    [
        (DENIED, "You don't have access to the model with the specified model ID.", "model access"),
        (
            DENIED,
            "Model access is denied due to INVALID_PAYMENT_INSTRUMENT: add one.",
            "model access",
        ),
        (
            DENIED,
            "Model access is denied: not authorized to perform the AWS Marketplace actions (…)",
            "model access",
        ),
        (
            "ResourceNotFoundException",
            "Model use case details have not been submitted for this account.",
            "model access",
        ),
        (DENIED, "anthropic.claude-x is not available for this account.", "model access"),
        (DENIED, "User is not authorized to perform: bedrock:InvokeModel", "IAM"),
        (DENIED, "… with an explicit deny in a service control policy", "IAM"),
        ("permission_error", "forbidden", "IAM"),
        ("Unreachable", "The connection to Amazon Bedrock failed.", "network"),
        ("NoWay", "The name of the endpoint cannot be resolved.", "network"),
        ("TooLate", "No answer came in time.", "network"),
        ("ThrottlingException", "Too many tokens per day, please wait.", "quota"),
        ("ServiceQuotaExceededException", "exceeded", "quota"),
        ("ValidationException", "set the data retention mode to aws_review", "data retention"),
        (DENIED, "data_retention_mode of this account is none", "data retention"),
        ("UnrecognizedClientException", "The security token is invalid.", "credentials"),
        (NO_CREDENTIALS, "no AWS credentials", "credentials"),
        (TOO_LATE, "no answer in time", "network"),
        ("ValidationException", "The provided model identifier is invalid.", "name"),
        ("ValidationException", "with on-demand throughput isn't supported", "name"),
        (
            "ResourceNotFoundException",
            "This model version has reached the end of its life.",
            "name",
        ),
    ],
)
def test_a_closed_gate_is_named_with_its_mend(code, words, gate):
    line = judged(UpstreamRefusal(code, words))
    assert (line.state, line.found.partition(":")[0]) == ("fail", gate)
    assert line.mend


def test_what_was_let_in_has_passed_all_gates():
    line = judged(UpstreamRefusal("ValidationException", "max_tokens: too small"))
    assert (line.state, "all gates are open" in line.found) == ("ok", True)


def test_a_fault_of_aws_is_no_gate():
    assert judged(UpstreamRefusal("InternalServerException", "oops")).state == "warn"
