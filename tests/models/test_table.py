from __future__ import annotations

import msgspec
import pytest
from msgspec import structs

from anthropic_bedrock_proxy.app.models import load_model_table
from anthropic_bedrock_proxy.models.table import capabilities_on, parse_table
from anthropic_bedrock_proxy.sim.models.catalog import MODELS

MODEL = {"id": "a", "display_name": "A", "bedrock": "anthropic.a", "generation": "g"}


def test_the_shipped_table_is_consistent():
    table = load_model_table()
    ids = [model.id for model in table.model]
    assert len(ids) == len(set(ids))
    for model in table.model:
        features = table.generation[model.generation].features
        assert ("claude" in features) == model.bedrock.startswith("anthropic.")
        assert table.generation[model.generation].dialects
        assert model.lacks <= features | table.generation[model.generation].betas
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


def test_dialects_differ_and_differences_are_inherited():
    base = {
        "features": ["tools", "images"],
        "dialects": ["invoke"],
        "on": {"converse": {"lacks": ["images"]}, "mantle": {"features": ["auto_cache"]}},
    }
    own = {
        "extends": "base",
        "dialects": ["messages", "invoke"],
        "on": {"converse": {"betas": ["b"]}, "messages": {"features": ["system"]}},
    }
    table = parse_table({"model": [MODEL], "generation": {"base": base, "g": own}})
    generation = table.generation["g"]
    assert generation.dialects == ("messages", "invoke")
    features = {
        dialect: capabilities_on(generation, dialect).features
        for dialect in ("invoke", "messages", "mantle", "converse")
    }
    assert features == {
        "invoke": {"tools", "images"},
        "messages": {"tools", "images", "system"},
        "mantle": {"tools", "images", "auto_cache"},
        "converse": {"tools"},
    }
    assert capabilities_on(generation, "converse").betas == {"b"}
    model = structs.replace(table.model[0], lacks=frozenset(("tools",)), output_tokens=5)
    gap = capabilities_on(generation, "invoke", model)
    assert (gap.features, gap.output_tokens) == ({"images"}, 5)


@pytest.mark.parametrize(
    "generation",
    [
        {"features": ["telepathy"]},
        {"dialects": ["esperanto"]},
        {"on": {"esperanto": {}}},
        {"on": {"invoke": {"features": ["telepathy"]}}},
    ],
)
def test_misprints_are_refused(generation):
    with pytest.raises(ValueError, match=r"telepathy|esperanto"):
        parse_table({"model": [MODEL], "generation": {"g": generation}})


def test_a_family_must_have_a_generation():
    table = {"model": [MODEL], "generation": {"g": {}}, "families": {"x.": "h"}}
    with pytest.raises(ValueError, match=r"family x\. names an unknown generation h"):
        parse_table(table)


@pytest.mark.parametrize(
    "data",
    [
        {"model": [MODEL], "generation": {}},
        {"model": [MODEL, {**MODEL, "id": "b"}], "generation": {"g": {}}},
        {"model": [{**MODEL, "aliases": ["a"]}], "generation": {"g": {}}},
        {"model": [{**MODEL, "dialects": ["esperanto"]}], "generation": {"g": {}}},
    ],
    ids=["unknown generation", "Bedrock id twice", "alias like an id", "unknown dialect"],
)
def test_inconsistent_tables_are_refused(data):
    with pytest.raises(ValueError, match=r"generation|twice|dialect"):
        parse_table(data)


def test_malformed_tables_are_refused():
    with pytest.raises(msgspec.ValidationError):
        parse_table({"model": [{"id": 1}], "generation": {}})


def test_no_claude_is_sent_a_flag_that_the_simulator_refuses():
    table = load_model_table()
    known = {model.id: model for model in MODELS}
    for model in table.model:
        there = known.get(model.bedrock)
        for dialect in ("invoke", "converse"):
            if there is not None and there.is_claude:
                sent = capabilities_on(table.generation[model.generation], dialect, model)
                for flag in sent.betas | sent.on_use:
                    assert there.accepts_beta(flag, dialect), (model.id, dialect, flag)
