from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.gateway.admission.periods import today


@given(st.datetimes(datetime(1970, 1, 1), datetime(2199, 11, 30), timezones=st.just(UTC)))  # noqa: DTZ001  # hypothesis wants naive bounds
def test_the_calendar(moment):
    periods = today(moment.timestamp())
    assert periods.day == moment.date().isoformat()
    assert periods.month == periods.day[:7]
    ends = datetime.fromtimestamp(periods.day_ends, UTC)
    assert ends.date() == moment.date() + timedelta(days=1)
    assert (ends.hour, ends.minute, ends.second) == (0, 0, 0)
    month_ends = datetime.fromtimestamp(periods.month_ends, UTC)
    assert month_ends.day == 1
    assert (month_ends - timedelta(seconds=1)).strftime("%Y-%m") == periods.month


def test_the_last_second_of_a_year():
    at = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()
    assert (today(at).month, today(at + 1).month) == ("2026-12", "2027-01")
    assert today(at).month_ends == today(at).day_ends == at + 1
