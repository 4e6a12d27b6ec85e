"""The operator's feed: incidents as they open and close, each told once and for ever the same."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import feedparser
import pytest

from tosmon.model import IncidentEvent, TermsKey, Verdict
from tosmon.publish import FeedFormat, FeedSettings, incidents_feed

AT = datetime(2026, 10, 21, 14, 3, 11, 250_000, tzinfo=UTC)
SETTINGS = FeedSettings("Terms we live by", "https://terms.example", "example.org", date(2026, 1, 31))
OPENED = IncidentEvent(
    incident=7,
    closed=False,
    at=AT,
    key=TermsKey("Inkwell", "Terms of Service"),
    verdict=Verdict.BLOCKED,
    detail="https://inkwell.example/tos answers with a challenge; look less often",
    opened_at=AT,
    last_whole_at=AT - timedelta(hours=1),
)
CLOSED = replace(OPENED, closed=True, at=AT + timedelta(days=1), looks=5)


def parsed(events: list[IncidentEvent], format: FeedFormat, settings: FeedSettings = SETTINGS) -> Any:
    return feedparser.parse(incidents_feed(events, settings, format))


@pytest.mark.parametrize("format", [FeedFormat.RSS, FeedFormat.ATOM])
def test_each_opening_and_closing_is_an_entry(format: FeedFormat) -> None:
    """The newest first, with the reason, what to do, and since when the document was not seen whole."""
    feed = parsed([OPENED, CLOSED], format)

    assert not feed.bozo
    assert [entry.title for entry in feed.entries] == [
        "Inkwell, Terms of Service: can be read again",
        "Inkwell, Terms of Service: cannot be read: blocked",
    ]
    assert [entry.id for entry in feed.entries] == [
        "tag:example.org,2026-01-31:incident/7/closed",
        "tag:example.org,2026-01-31:incident/7/opened",
    ]
    told = feed.entries[1].content[0].value
    assert "answers with a challenge; look less often" in told
    assert "last read completely on 21 October 2026, 13:03 UTC" in told
    assert "since 21 October 2026, 14:03 UTC, at 5 looks" in feed.entries[0].content[0].value


def test_json_carries_the_same_as_values() -> None:
    """A program that wakes the operator reads the verdict, not words."""
    closed, opened = json.loads(incidents_feed([OPENED, CLOSED], SETTINGS, FeedFormat.JSON))["items"]

    assert (closed["_tosmon"]["closed"], opened["_tosmon"]["closed"]) == (True, False)
    assert opened["_tosmon"]["verdict"] == "blocked"
    assert opened["url"] == "https://terms.example/services/Inkwell/Terms%20of%20Service"


@pytest.mark.parametrize("format", FeedFormat)
def test_an_entry_stays_when_others_come(format: FeedFormat) -> None:
    """What was told of an opening is the same after the closing, and the same events give the same bytes."""
    before = parsed([OPENED], format) if format is not FeedFormat.JSON else None
    after = parsed([CLOSED, OPENED], format) if format is not FeedFormat.JSON else None
    if before is not None and after is not None:
        assert before.entries[0] == after.entries[1]
    assert incidents_feed([OPENED, CLOSED], SETTINGS, format) == incidents_feed([CLOSED, OPENED], SETTINGS, format)


@pytest.mark.parametrize("format", FeedFormat)
def test_only_the_latest_hundred_stand_in_it(format: FeedFormat) -> None:
    """A feed is no archive; the page of incidents is."""
    events = [replace(OPENED, incident=number, at=AT + timedelta(minutes=number)) for number in range(130)]
    body = incidents_feed(events, SETTINGS, format)

    assert body.count(b"incident/129/opened") == 1
    assert b"incident/30/opened" in body
    assert b"incident/29/opened" not in body


@pytest.mark.parametrize("format", FeedFormat)
def test_hostile_details_are_harmless(format: FeedFormat) -> None:
    """What a page calls itself ends up in the detail: no markup, no control characters, no turned text."""
    hostile = replace(
        OPENED, detail="“<script>alert(1)</script>\x00\u202e & ]]> </content>”", key=TermsKey("<b>", "x\x07")
    )
    body = incidents_feed([hostile], SETTINGS, format)

    assert b"\x00" not in body and "\u202e".encode() not in body and b"\x07" not in body
    if format is FeedFormat.JSON:
        assert "<script>" in json.loads(body)["items"][0]["content_text"]
    else:
        feed = feedparser.parse(body)
        assert not feed.bozo
        assert "<script" not in body.decode()


def test_an_empty_feed_is_a_feed() -> None:
    """It can be subscribed to before anything breaks, and bears no time of the clock."""
    feed = parsed([], FeedFormat.ATOM)

    assert (feed.entries, feed.feed.updated) == ([], "2026-01-31T00:00:00+00:00")
