"""Synthesises deploy/ecs several times in one process: Node.js takes longer to start than an app.

Runs in an environment that has the CDK; standard input says {FOLDER: CONTEXT}.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2] / "deploy" / "ecs"))
    from app import build, make_app

    for folder, context in json.load(sys.stdin).items():
        app = make_app(outdir=folder, context=context)
        build(app)
        app.synth()
