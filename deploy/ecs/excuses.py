"""Rules of checkov that a resource breaks on purpose: each stands where the resource is made."""

from __future__ import annotations

from constructs import IConstruct


def excuse(construct: IConstruct, rule: str, reason: str) -> None:
    """Notes in the template why a rule does not hold for a resource."""
    resource = construct.node.default_child or construct
    resource.add_metadata("checkov", {"skip": [{"id": rule, "comment": reason}]})
