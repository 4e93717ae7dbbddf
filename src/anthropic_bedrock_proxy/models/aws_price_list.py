"""AWS's price list, read into the form of prices.csv: for `prices sync`.

    {"product": {"attributes": {"servicename": "Claude Opus 5.5 (Amazon Bedrock Edition)",
                                "regionCode": "us-east-1",
                                "usagetype": "USE1-MP:USE1_input_tokens_global_standard-Units"}},
     "terms": {"OnDemand": {…: {"priceDimensions": {…: {
         "unit": "1M tokens", "pricePerUnit": {"USD": "4.0000000000"}}}}}}}
    -> anthropic.claude-opus-5-5,global/us-east-1,4,…

Only what is surely understood becomes a price: the usage type (aws_usage.py), the unit, the name of
the model. A cell for which two entries say different things is left out, and so is a row without
input or output. Everything left out is counted, by its reason.
Source: AWS Price List API, GetProducts, entries of AmazonBedrock and AmazonBedrockFoundationModels.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from .aws_usage import TokenUse, token_use
from .prices import PriceList, cells_of, is_plausible, per_million, wider, written
from .table import ModelTable

PRICE_LIST_SERVICES: Final = ("AmazonBedrock", "AmazonBedrockFoundationModels")
_UNITS: Final = {"1k tokens": 1000, "1m tokens": 1_000_000}
_EDITION: Final = " (Amazon Bedrock Edition)"
_LONGEST_WORDS: Final = 1000  # the search takes quadratic time
_IN_WORDS: Final = re.compile(r"(?i)\bmillion\b.*\btokens?\b")  # of the unit `Units`
_CLAUDE: Final = "anthropic."
_MOST_EXAMPLES: Final = 5

# The reasons for which entries are left out.
NO_ENTRY: Final = "not in the shape of an entry"
NO_COLUMN: Final = "no use of text tokens that has a column here"
NO_UNIT: Final = "no unit of tokens"
NO_AMOUNT: Final = "not one amount of dollars above zero"
NO_MODEL: Final = "a model that is not known by this name"
CONTRADICTED: Final = "another entry says otherwise"
INCOMPLETE: Final = "a model and place without a price of input or output"


class _Attributes(msgspec.Struct, rename={"region": "regionCode"}):
    region: str = ""
    usagetype: str = ""
    servicename: str = ""
    model: str = ""
    inference: str = msgspec.field(name="inferenceType", default="")


class _Product(msgspec.Struct):
    attributes: _Attributes


class _Dimension(msgspec.Struct):
    unit: str = ""
    description: str = ""
    per_unit: dict[str, str] = msgspec.field(name="pricePerUnit", default={})


class _Sale(msgspec.Struct):
    dimensions: dict[str, _Dimension] = msgspec.field(name="priceDimensions", default={})


class _Sales(msgspec.Struct):
    on_demand: dict[str, _Sale] = msgspec.field(name="OnDemand", default={})


class _ListedProduct(msgspec.Struct):
    product: _Product
    sales: _Sales = msgspec.field(name="terms", default_factory=_Sales)


class ReadPrices(msgspec.Struct, frozen=True):
    """Prices in the form of prices.csv (empty if there are none), and what was left out, why.

    `examples` are a few names by reason.
    """

    text: str
    rows: int
    skipped: Mapping[str, int]
    examples: Mapping[str, Sequence[str]]


class _LeftOut(Exception):  # noqa: N818  # unwinds the reading of one entry
    def __init__(self, reason: str, example: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.example = example


class _ReadEntries:
    """The cells that were found, and what was left out."""

    def __init__(self, names: Mapping[str, str], ids: frozenset[str]) -> None:
        self.names = names
        self.ids = ids
        self.rows: dict[tuple[str, str], dict[str, str]] = {}
        self.skipped: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        self._contradicted: set[tuple[str, str, str]] = set()

    def skip(self, reason: str, example: str) -> None:
        self.skipped[reason] += 1
        told = self.examples.setdefault(reason, [])
        if example not in told and len(told) < _MOST_EXAMPLES:
            told.append(example[:200])

    def add(self, text: str) -> None:
        try:
            entry = msgspec.json.decode(text, type=_ListedProduct)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            self.skip(NO_ENTRY, "")
            return
        try:
            self._take(entry)
        except _LeftOut as left_out:
            self.skip(left_out.reason, left_out.example)

    def _take(self, entry: _ListedProduct) -> None:
        attributes = entry.product.attributes
        use = token_use(attributes.usagetype)
        if not attributes.region:
            raise _LeftOut(NO_ENTRY, attributes.usagetype)
        if use is None or _disagrees(use, attributes.inference):
            raise _LeftOut(NO_COLUMN, attributes.usagetype)
        amount = _amount(entry, attributes.usagetype)
        model = self._model(attributes, use)
        # The proxy asks for the long context of Claude's 200,000 tokens; others begin elsewhere.
        if use.column.startswith("long_") and not model.startswith(_CLAUDE):
            raise _LeftOut(NO_COLUMN, attributes.usagetype)
        key = (model, f"{use.within}{attributes.region}")
        cells = self.rows.setdefault(key, {})
        if (*key, use.column) in self._contradicted:
            raise _LeftOut(CONTRADICTED, f"{' '.join(key)} {use.column}")
        if cells.setdefault(use.column, amount) != amount:
            del cells[use.column]
            self._contradicted.add((*key, use.column))
            raise _LeftOut(CONTRADICTED, f"{' '.join(key)} {use.column}")

    def _model(self, attributes: _Attributes, use: TokenUse) -> str:
        if use.model_id:
            if use.model_id not in self.ids:
                raise _LeftOut(NO_MODEL, use.model_id)
            return use.model_id
        name = attributes.model or attributes.servicename.removesuffix(_EDITION)
        model = self.names.get(_plain(name))
        if model is None:
            raise _LeftOut(NO_MODEL, name)
        return model


def read_aws_prices(entries: Iterable[str], table: ModelTable) -> ReadPrices:
    """Reads entries of the price list, each a text of JSON. Whatever they are, it never raises."""
    ids = frozenset(name for model in table.model for name in (model.bedrock, model.mantle) if name)
    reading = _ReadEntries(_names(table), ids)
    for entry in entries:
        reading.add(entry)
    rows = {}
    for key, cells in reading.rows.items():
        if {"input", "output"} <= cells.keys():
            rows[key] = cells
        else:
            reading.skip(INCOMPLETE, " ".join(key))
    text = written(rows) if rows else ""
    return ReadPrices(text, len(rows), dict(reading.skipped), reading.examples)


def completed(text: str, below: PriceList) -> str:
    """Fills cells that a list has not from the one below it.

    That is believed only where it says the same of input and output: its row may be older.
    """
    rows = {}
    for price in PriceList(lambda: text):
        cells = cells_of(price)
        other = below.at(price.model, wider(price.place))
        if other is not None and (other.input, other.output) == (price.input, price.output):
            cells = cells_of(other) | cells
        rows[price.model, price.place] = cells
    return written(rows)


def _disagrees(use: TokenUse, inference: str) -> bool:
    """Tells whether AWS's words for a row contradict its usage type; without words they do not."""
    words = inference.casefold()
    if not words:
        return False
    return any((word in words) != (word in use.column) for word in ("cache", "output"))


def _amount(entry: _ListedProduct, usage_type: str) -> str:
    """Returns dollars per million tokens. Raises `_LeftOut`."""
    amounts = set()
    for sale in entry.sales.on_demand.values():
        for dimension in sale.dimensions.values():
            tokens = _UNITS.get(dimension.unit.casefold())
            if dimension.unit == "Units" and _IN_WORDS.search(
                dimension.description[:_LONGEST_WORDS]
            ):
                tokens = 1_000_000  # of AWS Marketplace: the description has the unit
            if tokens is None:
                raise _LeftOut(NO_UNIT, f"{dimension.unit} of {usage_type}")
            try:
                amount = Decimal(dimension.per_unit.get("USD", ""))
            except InvalidOperation:
                raise _LeftOut(NO_AMOUNT, usage_type) from None
            if not amount or not is_plausible(amount):
                raise _LeftOut(NO_AMOUNT, usage_type)
            amounts.add(per_million(amount, tokens))
    if len(amounts) != 1:
        raise _LeftOut(NO_AMOUNT, usage_type)
    return amounts.pop()


def _names(table: ModelTable) -> dict[str, str]:
    """Returns base ids by the names that the price list may have for a model; no doubtful one."""
    found: dict[str, set[str]] = {}
    for model in table.model:
        for name in (model.display_name, *model.price_names):
            found.setdefault(_plain(name), set()).add(model.bedrock)
    return {name: models.pop() for name, models in found.items() if len(models) == 1}


def _plain(name: str) -> str:
    """Returns a name without what is written differently in different places."""
    return re.sub(r"[^a-z0-9.+]", "", name.casefold())
