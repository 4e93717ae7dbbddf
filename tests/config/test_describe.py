"""`.env.example` and the reference page say what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest

from anthropic_bedrock_proxy.config import Settings, describe, load_settings
from anthropic_bedrock_proxy.config.settings import SECTIONS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("path", "option"),
    [(".env.example", "--env-example"), ("docs/reference/settings.md", "--markdown")],
)
def test_written_files_are_not_stale(path, option):
    text = describe.env_example() if option == "--env-example" else describe.markdown()
    assert (ROOT / path).read_text("utf-8") == text, (
        f"run: python -m anthropic_bedrock_proxy config {option} > {path}"
    )


def test_env_example_uncommented_gives_the_defaults(tmp_path):
    path = tmp_path / ".env"
    lines = describe.env_example().splitlines()
    given = [line[1:] for line in lines if line.startswith("#") and line[1:2].isalpha()]
    path.write_text("\n".join(given))
    settings = load_settings(environ={}, env_file=path)
    assert len(given) == len(settings.sources)
    assert set(settings.sources.values()) == {".env"}
    assert settings.warnings == ()
    for section in SECTIONS:
        assert getattr(settings, section) == getattr(Settings(), section)


def test_every_setting_has_a_sentence():
    for line in describe.markdown().splitlines():
        assert not line.startswith("| `") or line.count(" | ") in {1, 4}, line
        assert "|  |" not in line
