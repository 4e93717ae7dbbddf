from __future__ import annotations

import msgspec
import pytest

from anthropic_bedrock_proxy.app import load_model_table
from anthropic_bedrock_proxy.protocol.capabilities import parse_table

MODEL = {"id": "a", "display_name": "A", "bedrock": "anthropic.a", "generation": "g"}


def test_the_shipped_table_is_consistent():
    table = load_model_table()
    ids = [model.id for model in table.model]
    assert len(ids) == len(set(ids))
    for model in table.model:
        features = table.generation[model.generation].features
        assert ("claude" in features) == model.bedrock.startswith("anthropic.")
        assert table.generation[model.generation].dialects
        assert model.lacks <= features
    for flag in table.betas.needed_for.values():
        assert any(flag in g.betas | g.on_use for g in table.generation.values())


def test_a_generation_inherits():
    table = parse_table(
        {
            "model": [MODEL],
            "generation": {
                "base": {"betas": ["x"], "features": ["tools"], "on_use": ["z"]},
                "g": {"extends": "base", "betas": ["y"]},
            },
        }
    )
    assert table.generation["g"].betas == {"x", "y"}
    assert table.generation["g"].features == {"tools"}
    assert table.generation["g"].on_use == {"z"}


@pytest.mark.parametrize(
    "data",
    [
        {"model": [MODEL], "generation": {}},
        {"model": [MODEL, {**MODEL, "id": "b"}], "generation": {"g": {}}},
        {"model": [{**MODEL, "aliases": ["a"]}], "generation": {"g": {}}},
    ],
    ids=["unknown generation", "Bedrock id twice", "alias like an id"],
)
def test_inconsistent_tables_are_refused(data):
    with pytest.raises(ValueError, match=r"generation|twice"):
        parse_table(data)


def test_malformed_tables_are_refused():
    with pytest.raises(msgspec.ValidationError):
        parse_table({"model": [{"id": 1}], "generation": {}})
