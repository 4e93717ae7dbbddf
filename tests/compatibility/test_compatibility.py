"""The table is true, it leaves nothing out, and the page that shows it is not stale."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from cases import ROWS
from proofs import fragment, prove
from reference import (
    CLAUDE_CODE,
    EXCEPTIONS,
    Param,
    Shown,
    flags_of_sdk,
    is_excepted,
    params_of_sdk,
    reasons_for,
)
from reference import NAMES as NAMES_OF_REFERENCE
from rows import COLUMNS, WORDS, Row
from write_table import COMMAND, PAGE, page

ROOT = Path(__file__).parents[2]
NAMESPACES = ("types", "types.beta")


def named(row: Row) -> str:
    """The id of a row's test."""
    return f"{row.group}-{row.name}"


CELLS = [
    pytest.param(
        row,
        column,
        id=f"{row.group}-{row.name}-{column.key}",
        marks=[pytest.mark.xfail(strict=True, raises=AssertionError, reason=row.bugs[column.key])]
        if column.key in row.bugs
        else [],
    )
    for row in ROWS
    for column in COLUMNS
]


@pytest.mark.parametrize(("row", "column"), CELLS)
def test_what_the_table_says_is_true(row, column):
    prove(row, column)


def test_every_row_says_something_for_every_column():
    for row in ROWS:
        letters = row.cells.replace(" ", "")
        assert len(letters) == len(COLUMNS), row.name
        assert set(letters) <= WORDS.keys(), row.name
        assert row.bugs.keys() <= {column.key for column in COLUMNS}, row.name


def test_no_row_stands_twice():
    names = [(row.group, row.name) for row in ROWS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_every_wrong_word_is_found_out(row):
    """Each cell with each other word; mapped and emulated leave the same traces."""
    for position, column in enumerate(COLUMNS):
        letters = list(row.cells.replace(" ", ""))
        right = letters[position]
        if column.key in row.bugs:
            continue
        for wrong in WORDS.keys() - {right}:
            if {right, wrong} == {"M", "E"}:
                continue
            letters[position] = wrong
            claim = msgspec.structs.replace(row, cells="".join(letters), silent="")
            if right not in "ME":  # proofs for other columns prove nothing here
                claim = msgspec.structs.replace(claim, only={column.key: {}})
            with pytest.raises(AssertionError):
                prove(claim, column)


def test_every_name_of_the_reference_has_a_row():
    shown = Shown(ROWS)
    for group, names in NAMES_OF_REFERENCE.items():
        missing = [name for name in names.split() if not shown.has(name)]
        assert not missing, f"{group}: add a row for {missing}"


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_every_type_and_field_of_the_sdk_has_a_row(namespace):
    params = params_of_sdk(namespace)
    missing = [key for key in Shown(ROWS).lacks(params) if not is_excepted(key)]
    assert len(params) > 100
    assert not missing, "add rows, or say in reference.EXCEPTIONS why there are none"


def test_every_flag_of_the_sdk_and_of_claude_code_has_a_row():
    flags = flags_of_sdk()
    assert len(flags) > 50
    shown = {row.name for row in ROWS if row.group == "beta flags"}
    assert not (flags | set(CLAUDE_CODE["flags"].split())) - shown, "add rows to flag_cases.py"


def test_every_field_of_claude_code_has_a_row():
    shown = Shown(ROWS)
    assert not [name for name in CLAUDE_CODE["fields"].split() if not shown.has(name)]


def test_a_new_field_or_flag_would_be_noticed():
    """What the tests above look for is not there by chance."""
    new = Param("MessageCreateParamsBase", (), ("model", "brand_new"))
    assert list(Shown(ROWS).lacks([new])) == ["MessageCreateParamsBase.brand_new"]
    assert "brand-new-2027-01-01" not in {row.name for row in ROWS}


def test_exceptions_are_still_needed():
    needed = set()
    for namespace in NAMESPACES:
        for missing in Shown(ROWS).lacks(params_of_sdk(namespace)):
            needed |= reasons_for(missing)
    assert needed >= EXCEPTIONS.keys()


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_what_a_row_is_about_stands_in_its_request(row):
    fragment(row)


def test_the_page_is_not_stale():
    assert (ROOT / PAGE).read_text("utf-8") == page(), f"run: {COMMAND}"
