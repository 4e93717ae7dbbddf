"""AWS's price list, from its own form into that of prices.csv."""

from __future__ import annotations

import json
from decimal import Decimal
from time import process_time

import pytest

from anthropic_bedrock_proxy.app.models import load_model_table, load_prices
from anthropic_bedrock_proxy.models import aws_price_list as reading
from anthropic_bedrock_proxy.models.aws_price_list import completed, read_aws_prices
from anthropic_bedrock_proxy.models.prices import PriceList

TABLE = load_model_table()
OPUS = "anthropic.claude-opus-5-5"
UNDATED = "Claude Opus 5.5 (Amazon Bedrock Edition)"


def entry(use, dollars, *, unit="1M tokens", region="us-east-1", description="", **attributes):
    """One entry of AWS Marketplace's rows; `use` without what stands around it."""
    attributes = {"servicename": UNDATED, "usagetype": f"USE1-MP:USE1_{use}-Units", **attributes}
    dimension = {"unit": unit, "description": description, "pricePerUnit": {"USD": dollars}}
    return json.dumps(
        {
            "product": {"attributes": {"regionCode": region, **attributes}},
            "terms": {"OnDemand": {"s.t": {"priceDimensions": {"s.t.d": dimension}}}},
        }
    )


def prices(*entries):
    return {(one.model, one.place): one for one in PriceList(lambda: read(*entries).text)}


def read(*entries):
    return read_aws_prices(entries, TABLE)


BOTH = (entry("input_tokens_standard", "4.4"), entry("output_tokens_standard", "22.0000000000"))


def test_cells_of_one_model_and_place_make_a_row():
    world = [
        entry(f"{kind}_tokens_global_standard", "4") for kind in ("input", "output", "cache_read")
    ]
    found = prices(*BOTH, *world, entry("cache_write_tokens_1h_standard", "8.8"))
    assert found.keys() == {(OPUS, "us-east-1"), (OPUS, "global/us-east-1")}
    regional = found[OPUS, "us-east-1"]
    assert (regional.input, regional.output) == (Decimal("4.4"), 22)
    assert (regional.cache_write_1h, regional.cache_read) == (Decimal("8.8"), None)
    assert found[OPUS, "global/us-east-1"].cache_read == 4


def test_units_are_brought_to_a_million():
    thousand = [
        entry("", amount, unit="1K tokens", model="Nova Pro", usagetype=f"USE1-NovaPro-{use}")
        for use, amount in (("input-tokens", "0.0008"), ("output-tokens", "0.0032"))
    ]
    in_words = [
        entry(f"{kind}_tokens_standard", "3", unit="Units", description=f"x|Million {kind} Tokens")
        for kind in ("input", "output")
    ]
    found = prices(*thousand, *in_words)
    nova = found["amazon.nova-pro-v1:0", "us-east-1"]
    assert (nova.input, nova.output) == (Decimal("0.8"), Decimal("3.2"))
    assert found[OPUS, "us-east-1"].input == 3


def test_mantle_names_the_model_itself():
    rows = [
        entry("", "1", usagetype=f"USE1-{name}-mantle-{kind}-tokens-standard", model="?")
        for name in ("anthropic.claude-haiku-4-5", "nobody.knows-1")
        for kind in ("input", "output")
    ]
    report = read(*rows)
    (row,) = PriceList(lambda: report.text)
    assert (row.model, row.place) == ("anthropic.claude-haiku-4-5", "mantle/us-east-1")
    assert report.skipped == {reading.NO_MODEL: 2}
    assert report.examples == {reading.NO_MODEL: ["nobody.knows-1"]}


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        ("<html>", reading.NO_ENTRY),
        ("[" * 100_000, reading.NO_ENTRY),
        ("{}", reading.NO_ENTRY),
        (entry("input_tokens_batch", "2", region=""), reading.NO_ENTRY),
        (entry("images_standard", "2"), reading.NO_COLUMN),
        (entry("input_tokens_batch", "2", inferenceType="Output tokens"), reading.NO_COLUMN),
        (entry("input_tokens_batch", "2", inferenceType="Cache read"), reading.NO_COLUMN),
        (
            entry("input_tokens_long_ctx_standard", "2", servicename="GPT-6 Astra"),
            reading.NO_COLUMN,
        ),
        (entry("input_tokens_batch", "2", unit="1M TPM Hour"), reading.NO_UNIT),
        (entry("input_tokens_batch", "2", unit="Units"), reading.NO_UNIT),
        (entry("input_tokens_batch", "0.0000000000"), reading.NO_AMOUNT),
        (entry("input_tokens_batch", "-1"), reading.NO_AMOUNT),
        (entry("input_tokens_batch", "NaN"), reading.NO_AMOUNT),
        (entry("input_tokens_batch", "1e-999999999"), reading.NO_AMOUNT),
        (entry("input_tokens_batch", "1e99"), reading.NO_AMOUNT),
        (entry("input_tokens_batch", "much"), reading.NO_AMOUNT),
        (entry("input_tokens_batch", "2", servicename="Claude Saga 9"), reading.NO_MODEL),
        (entry("input_tokens_batch", "2", servicename="Claude Sonnet 3.5"), reading.NO_MODEL),
        (entry("input_tokens_standard", "5"), reading.CONTRADICTED),
    ],
)
def test_what_is_not_sure_is_counted_and_told(odd, reason):
    report = read(*BOTH, odd)
    assert report.skipped[reason] == 1
    assert len(report.examples[reason]) == 1
    cells = report.text.splitlines()[1:]
    assert not any("2.000" in line or ",2," in line for line in cells)


def test_of_contradictions_neither_holds():
    third = entry("input_tokens_standard", "4.4")
    report = read(*BOTH, entry("input_tokens_standard", "5"), third)
    assert (report.text, report.rows) == ("", 0)
    assert report.skipped == {reading.CONTRADICTED: 2, reading.INCOMPLETE: 1}
    assert read(*BOTH, third).rows == 1, "twice the same is none"


def test_examples_are_few():
    report = read(*[entry("input_tokens_batch", "1", servicename=f"M{n}") for n in range(30)])
    assert report.skipped == {reading.NO_MODEL: 30}
    assert len(report.examples[reading.NO_MODEL]) == 5


def test_the_names_of_older_models_lead_to_their_ids():
    table = {name: one.bedrock for one in TABLE.model for name in one.price_names}
    assert len(table) == 23
    for name, model in table.items():
        rows = [
            entry(f"{kind}_tokens_standard", "1", servicename=name) for kind in ("input", "output")
        ]
        assert prices(*rows).keys() == {(model, "us-east-1")}


HEAD = "model,place,input,output,cache_read,cache_write\n"


@pytest.mark.parametrize(
    ("place", "below", "cache_read"),
    [
        ("us-east-1", "us,4.4,22", Decimal("0.4")),
        ("us-east-1", "us-east-1,4.4,22", Decimal("0.4")),
        ("us-east-1", "eu,4.4,22", None),
        ("us-east-1", "global,4.4,22", None),
        ("global/us-east-1", "global,4.40,22.0", Decimal("0.4")),
        ("mantle/us-east-1", "mantle,4.4,22", Decimal("0.4")),
        ("us-east-1", "us,4.4,21", None),
        ("us-east-1", "us,4,22", None),
    ],
)
def test_a_cell_that_is_missing_comes_from_a_row_that_says_the_same(place, below, cache_read):
    other = PriceList(lambda: f"{HEAD}{OPUS},{below},0.4,7\n")
    text = completed(f"{HEAD}{OPUS},{place},4.4,22,,6\n", other)
    (row,) = PriceList(lambda: text)
    assert (row.place, row.input, row.output) == (place, Decimal("4.4"), 22)
    assert (row.cache_read, row.cache_write) == (cache_read, 6)


def test_the_shipped_list_completes_what_aws_has_left_out():
    shipped = load_prices()
    fable = "anthropic.claude-fable-5-1"
    us = shipped.at(fable, ["us"])
    named = {"servicename": "Claude Fable 5.1"}
    rows = [
        entry(f"{kind}_tokens_standard", str(getattr(us, kind)), **named)
        for kind in ("input", "output")
    ]
    (row,) = PriceList(lambda: completed(read(*rows).text, shipped))
    assert (row.model, row.place, row.cache_read) == (fable, "us-east-1", us.cache_read)
    assert row.cache_read < row.input / 10, "which is not the customary ratio"


def test_endless_words_take_no_time():
    """Each `million` began a search to the end: 40 s for these, of a worker that serves."""
    began = process_time()
    read(entry("input_tokens_standard", "3", unit="Units", description="million " * 20_000))
    assert process_time() - began < 5
