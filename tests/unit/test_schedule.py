"""When documents are looked at."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tosmon.model import Form, SourceDocument, Terms, TermsKey
from tosmon.schedule import LONGEST_BACKOFF, LONGEST_RETRY_AFTER, adapted, backoff, next_check

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEY = TermsKey("Inkwell", "Terms of Service")
TERMS = Terms(KEY, "Inkwell", Form((SourceDocument("https://ink.example/tos"),)), interval=HOUR)

keys = st.builds(TermsKey, st.text(max_size=20), st.text(max_size=20))
intervals = st.timedeltas(timedelta(seconds=1), timedelta(days=60))
times = st.floats(-5 * 365, 73 * 365).map(lambda days: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=days))


def test_looks_are_spread_over_the_interval() -> None:
    """A thousand documents that were looked at in one go fill every minute of the next hour, and crowd none."""
    due = [next_check(replace(TERMS, key=TermsKey(f"service {number}", "Imprint")), NOW) for number in range(1000)]

    minutes = [int((moment - NOW) / timedelta(minutes=1)) for moment in due]

    assert set(minutes) == set(range(6, 66))
    assert max(minutes.count(minute) for minute in range(6, 66)) < 40


def test_slots_do_not_depend_on_the_process() -> None:
    """A document keeps its slot over restarts."""
    assert next_check(TERMS, NOW) == datetime(2026, 3, 1, 12, 37, 44, 386543, tzinfo=UTC)


def test_a_look_in_time_is_followed_by_one_an_interval_later() -> None:
    """Looks keep their rhythm, however long each takes."""
    due = next_check(TERMS, NOW)

    assert next_check(TERMS, due + timedelta(seconds=90)) == due + HOUR


@given(keys, intervals, times)
def test_next_check_is_never_much_later_than_the_interval(key: TermsKey, interval: timedelta, now: datetime) -> None:
    """Whenever a document was looked at, the next look comes within the interval and a tenth, and not at once."""
    due = next_check(replace(TERMS, key=key, interval=interval), now)

    assert now + interval / 10 < due <= now + interval * 1.1 + timedelta(milliseconds=1)


def test_confirmation_comes_before_the_interval() -> None:
    """A change is looked at again after minutes."""
    assert next_check(TERMS, NOW, confirm_after=timedelta(minutes=10)) == NOW + timedelta(minutes=10)


def test_failures_are_backed_off_from_up_to_a_few_hours() -> None:
    """A failing document is tried at its interval twice, then less and less, but several times a day for ever."""
    waits = [next_check(TERMS, NOW, failures=count) - NOW for count in (1, 2, 3, 4, 5, 6, 1000)]

    assert waits == [HOUR, HOUR, 2 * HOUR, 4 * HOUR, LONGEST_BACKOFF, LONGEST_BACKOFF, LONGEST_BACKOFF]


def test_a_failing_document_of_long_interval_is_tried_within_the_hour() -> None:
    """One failure does not blind a document that is looked at once a week for a week."""
    assert backoff(1, timedelta(days=7)) == HOUR


@given(st.integers(1, 10_000), intervals)
def test_backoff_never_shrinks(failures: int, interval: timedelta) -> None:
    """Each failure makes the wait longer or leaves it."""
    assert timedelta(0) < backoff(failures, interval) <= backoff(failures + 1, interval) <= LONGEST_BACKOFF


def test_retry_after_is_honoured() -> None:
    """A server that asks for two hours gets two hours, whatever else would be due sooner."""
    asked = timedelta(hours=2)

    assert next_check(TERMS, NOW, failures=1, retry_after=asked) == NOW + asked
    assert next_check(TERMS, NOW, retry_after=asked) == NOW + asked
    assert next_check(TERMS, NOW, confirm_after=timedelta(minutes=1), retry_after=asked) == NOW + asked


def test_retry_after_is_capped() -> None:
    """A server cannot send a document away for years."""
    assert next_check(TERMS, NOW, failures=1, retry_after=timedelta(days=4000)) == NOW + LONGEST_RETRY_AFTER


def test_a_document_that_just_changed_is_looked_at_twice_as_often() -> None:
    """The days after a change and around the announced day, when platforms mend their terms, are watched closely."""
    today = date(2026, 3, 1)

    assert adapted(HOUR, today, date(2026, 2, 28), None) == HOUR / 2
    assert adapted(HOUR, today, date(2026, 2, 1), date(2026, 3, 2)) == HOUR / 2
    assert adapted(HOUR, today, date(2026, 2, 1), None) == HOUR
    assert adapted(timedelta(minutes=20), today, today, None) == timedelta(minutes=15)
    assert adapted(timedelta(minutes=5), today, today, None) == timedelta(minutes=5)
