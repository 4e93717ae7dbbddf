"""Writes the plans of all cases anew; whoever runs it reads the diff."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "support"))

from litellm_cases import CASES, planned  # noqa: E402  # the folder of support was put there above


def main() -> None:
    for case in CASES:
        plan = msgspec.json.format(msgspec.json.encode(planned(case).document()))
        (case / "plan.json").write_bytes(plan + b"\n")


if __name__ == "__main__":
    main()
