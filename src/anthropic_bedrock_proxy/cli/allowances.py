"""The options that keys, users and teams share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import click

from .values import clearable, dollars, usd_text

PER_MINUTE: Final = click.IntRange(min=1, max=10**12)

Option = tuple[str, str, Callable[[str], Any], str]
# Field of the body -> (option, metavar, converter, help).
ALLOWANCE_OPTIONS: Final[Mapping[str, Option]] = {
    "rate_limit": ("--rate-limit", "N", PER_MINUTE, "Requests per minute."),
    "tpm_limit": ("--tpm-limit", "N", PER_MINUTE, "Tokens per minute."),
    "input_tpm_limit": ("--input-tpm-limit", "N", PER_MINUTE, "Input tokens per minute."),
    "output_tpm_limit": ("--output-tpm-limit", "N", PER_MINUTE, "Output tokens per minute."),
    "concurrency_limit": ("--concurrency-limit", "N", PER_MINUTE, "Requests at once."),
    "daily_budget_usd": ("--daily-budget", "USD", dollars, "Spending per day (UTC)."),
    "monthly_budget_usd": ("--monthly-budget", "USD", dollars, "Spending per month (UTC)."),
    "total_budget_usd": ("--total-budget", "USD", dollars, "Spending altogether."),
}


_SHORT: Final = {
    "rate_limit": "requests/min",
    "tpm_limit": "tokens/min",
    "input_tpm_limit": "input/min",
    "output_tpm_limit": "output/min",
    "concurrency_limit": "at once",
}


_PERIODS: Final = {
    "daily_budget_usd": "/day",
    "monthly_budget_usd": "/month",
    "total_budget_usd": " in all",
}


def limits_text(row: Mapping[str, Any]) -> str | None:
    """Writes the limits of a key, user or team in one cell; None if it has none."""
    given = {words: row[name] for name, words in _SHORT.items() if row[name] is not None}
    return ", ".join(f"{value} {words}" for words, value in given.items()) or None


def budgets_text(row: Mapping[str, Any]) -> str | None:
    """Writes the budgets of a key, user or team, in USD, in one cell; None if it has none."""
    given = {words: row[name] for name, words in _PERIODS.items() if row[name] is not None}
    return ", ".join(f"{usd_text(amount)}{words}" for words, amount in given.items()) or None


def options_of(table: Mapping[str, Option]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Makes a decorator that adds the options of a table; each takes `none` too."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for field, (option, metavar, convert, text) in reversed(list(table.items())):
            command = click.option(
                option, field, metavar=metavar, type=clearable(convert), help=text
            )(command)
        return command

    return decorate
