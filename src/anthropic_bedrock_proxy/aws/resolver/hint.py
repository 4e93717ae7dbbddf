"""A guess, without any network, where AWS credentials would come from: for the banner."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def hint(environ: Mapping[str, str], *, default_profile: bool) -> str | None:
    """Names the place where the default chain would find credentials in `environ`; None: nowhere.

    For an environment that names no profile (`config/aws_profile.py`); `default_profile` says
    whether AWS's configuration files have one that gives keys.

    Instance metadata counts only on a machine that says it is EC2, or if somebody has named its
    endpoint, so that a laptop without credentials learns it at once instead of after a time-out.
    """
    if environ.get("AWS_ACCESS_KEY_ID"):
        return "AWS keys from the environment"
    if environ.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
        return "a web identity token"
    if environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") or environ.get(
        "AWS_CONTAINER_CREDENTIALS_FULL_URI"
    ):
        return "the container's role"
    if default_profile:
        return "the default AWS profile"
    if environ.get("AWS_EC2_METADATA_DISABLED", "").lower() != "true" and (
        environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or _on_ec2()
    ):
        return "the instance's role"
    return None


def _on_ec2() -> bool:
    # Nitro instances name the vendor; older Xen ones have a uuid that starts with "ec2".
    for path, prefix in (
        ("/sys/class/dmi/id/sys_vendor", "amazon ec2"),
        ("/sys/hypervisor/uuid", "ec2"),
    ):
        try:
            if Path(path).read_text(encoding="ascii").lower().startswith(prefix):
                return True
        except (OSError, UnicodeDecodeError):
            continue
    return False
