"""`python -m anthropic_bedrock_proxy` and the console command."""

from __future__ import annotations

import gc
import sys

from .process import standard


def main() -> None:
    """Runs the command line."""
    standard.keep()
    if sys.argv[1:2] == ["serve"]:
        gc.disable()  # until serving begins: process/serve.py
        from .cli.plain import parse_serve, run_serve  # noqa: PLC0415  # other commands need none

        options = parse_serve(sys.argv[2:])
        if options is not None:
            sys.exit(run_serve(options))
    from .cli.main import cli  # noqa: PLC0415  # imported last: click is not free

    cli()


if __name__ == "__main__":
    main()
