"""`python -m anthropic_bedrock_proxy` and the console command."""

from __future__ import annotations


def main() -> None:
    """Runs the command line."""
    from .cli.main import cli  # noqa: PLC0415  # imported last: click is not free

    cli()


if __name__ == "__main__":
    main()
