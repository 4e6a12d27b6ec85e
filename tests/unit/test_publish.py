"""Feeds: what an entry says, what it is called for ever, and that hostile text stays harmless in every format."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from html.parser import HTMLParser
from typing import Any

import feedparser
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from tosmon import publish
from tosmon.errors import ConfigError
from tosmon.model import (
    Alert,
    AlertKind,
    ClauseChangeKind,
    Direction,
    Edit,
    EditKind,
    Flag,
    Passage,
    Quote,
    Severity,
    TermsKey,
)
from tosmon.publish import Feed, FeedFormat, FeedKind, FeedSettings, formats, style
from tosmon.publish.entries import Entry, Kept, entry
from tosmon.publish.feeds import file_name
from tosmon.publish.formats import WRITERS
from tosmon.publish.marks import Run, runs_text, shortened, side_runs
from tosmon.publish.text import line, visible, web_address
from tosmon.publish.words import applies

AT = datetime(2026, 10, 21, 14, 3, 11, 250_000, tzinfo=UTC)
SETTINGS = FeedSettings("Terms we live by", "https://terms.example", "example.org", date(2026, 1, 31))
ATOM = "{http://www.w3.org/2005/Atom}"

GONE = "We will never train models on your pictures."
GRANT = (
    Edit(EditKind.SAME, "You grant us a licence to show them "),
    Edit(EditKind.REMOVED, "on this service"),
    Edit(EditKind.ADDED, "for any purpose"),
    Edit(EditKind.SAME, "."),
)


def quote(text: str, *headings: str) -> Quote:
    return Quote(text, 4, 0, len(text), headings)


def alert(number: int = 12, **changes: Any) -> Alert:
    told = Alert(
        uid=publish.alert_uid("example.org", SETTINGS.started, number, AlertKind.CHANGE),
        kind=AlertKind.CHANGE,
        at=AT + timedelta(minutes=number),
        service="Paintbox",
        service_name="Paintbox",
        type="Terms of Service",
        url="https://paintbox.example/terms?a=1&b=2",
        headline="Paintbox Terms of Service: may train AI models on your content; from 15 Nov 2026",
        severity=Severity.HIGH,
        effective_date=date(2026, 11, 15),
        flags=(
            Flag(
                "ai_training",
                Direction.WORSE,
                "The promise not to train AI models is gone",
                before=(quote(GONE, "Privacy"),),
            ),
            Flag("content_license", Direction.WORSE, "Licence now for any purpose", after=(quote("for any purpose"),)),
        ),
        passages=(
            Passage(ClauseChangeKind.REMOVED, (Edit(EditKind.REMOVED, GONE),), ("Privacy",)),
            Passage(ClauseChangeKind.MODIFIED, GRANT, ("Content", "Licence"), 4),
        ),
        tags=("art",),
        change_id=number,
        version_id=30,
        evidence=("3f8a0c1d" * 8,),
        id=number,
    )
    return replace(told, **changes)


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids are for ever, and the alerts of these tests share a few: no test sees another's entries."""
    nothing_is_kept(monkeypatch)


def nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "_kept", Kept(1_000_000))


def feed_texts(alerts: Sequence[Alert], feed: Feed = publish.ALL) -> dict[FeedFormat, bytes]:
    return {format: writer(alerts, feed, SETTINGS) for format, writer in WRITERS.items()}


def parsed(body: bytes) -> Any:
    feed = feedparser.parse(body)
    assert not feed.bozo, feed.get("bozo_exception")
    return feed


# --- ids and names ------------------------------------------------------------------------------------------------


def test_alert_ids_are_tag_uris_fixed_at_init() -> None:
    """The id of an alert is made of the authority and day of the archive, the change and what is said of it."""
    day = date(2026, 1, 31)

    assert publish.alert_uid("example.org", day, 12, AlertKind.CHANGE) == "tag:example.org,2026-01-31:change/12"
    assert (
        publish.alert_uid("me@example.org", day, 12, AlertKind.REMINDER)
        == "tag:me@example.org,2026-01-31:change/12/reminder"
    )


def test_authority_must_be_one() -> None:
    """An authority that would make broken ids is refused with the place to mend."""
    with pytest.raises(ConfigError, match=r"feeds\.authority"):
        FeedSettings("x", "https://x.example", "not an authority", date(2026, 1, 1))


def test_alert_stands_in_feeds_of_all_it_touches() -> None:
    """An alert is in the feed of everything, its service, document, severity, topics and tags, each once."""
    twice = replace(alert(), flags=(*alert().flags, alert().flags[0]))

    assert [feed.path for feed in publish.feeds_for(twice)] == [
        "all",
        "service/Paintbox",
        "document/Paintbox/Terms of Service",
        "severity/high",
        "topic/ai_training",
        "topic/content_license",
        "profile",
        "topic/ai_training/worse",
        "topic/content_license/worse",
        "tag/art",
    ]


@pytest.mark.parametrize(
    ("direction", "ways"),
    [
        (Direction.WORSE, ["worse"]),
        (Direction.BETTER, ["better"]),
        (Direction.MIXED, ["worse", "better"]),
        (Direction.NEUTRAL, []),
    ],
)
def test_changed_profile_stands_in_the_feeds_of_its_way(direction: Direction, ways: list[str]) -> None:
    """Who may train on your work, or use it: what got worse is one feed, what got better another, all of it a third."""
    told = replace(alert(), flags=(Flag("ai_training", direction, "Something"), Flag("ai_other", direction, "Else")))
    found = [feed.path for feed in publish.feeds_for(told) if feed.kind is publish.FeedKind.PROFILE]

    assert found == (["profile"] if ways else []) + [f"topic/ai_training/{way}" for way in ways]


def test_feed_keeps_its_identity_when_a_service_is_renamed() -> None:
    """A service's feed stays the same feed under its new name."""
    before, after = publish.service_feed("Paintbox", "Paintbox"), publish.service_feed("Paintbox", "Canvas")

    assert before == after
    assert publish.feed_uid(before, SETTINGS) == publish.feed_uid(after, SETTINGS)
    assert publish.feed_of("service/Paintbox", [alert(1), alert(2, service_name="Canvas")]) == after
    assert publish.feed_of("service/Nobody", [alert()]) is None


@given(st.lists(st.text(max_size=120), min_size=2, max_size=2, unique=True))
def test_file_names_are_safe_and_never_shared(keys: list[str]) -> None:
    """Whatever a service or tag is called, its file has a name of its own that leads out of no folder."""
    names = [file_name(key) for key in keys]

    assert len(set(names)) == 2
    for name in names:
        assert name.isascii() and 0 < len(name) <= 100 and "/" not in name and "\\" not in name
        assert not name.startswith((".", " ", "-")) and not name.endswith((".", " "))


@pytest.mark.parametrize(
    "key", ["../../etc/passwd", "..", ".", "", "a/b", "con", "NUL.txt", "a\x00b", "Ünïcode", "x" * 300]
)
def test_names_that_are_no_file_names_get_another(key: str) -> None:
    """Paths, reserved names and other alphabets are replaced by a stable name."""
    assert file_name(key) != key
    assert "~" in file_name(key) and file_name(key) == file_name(key)


def test_plain_names_stay_readable() -> None:
    """Names that every system can hold are used as they are."""
    assert file_name("Terms of Service") == "Terms of Service"
    assert file_name("In-App Purchases Policy") == "In-App Purchases Policy"


# --- what an entry says -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", [FeedFormat.RSS, FeedFormat.ATOM])
def test_xml_feeds_are_valid_to_a_strict_reader(format: FeedFormat) -> None:
    """A feed reader that forgives nothing finds title, link, id, date, content and categories."""
    feed = parsed(feed_texts([alert()])[format])
    [found] = feed.entries

    assert feed.version == ("rss20" if format is FeedFormat.RSS else "atom10")
    assert feed.feed.title == "Terms we live by"
    assert {(link.rel, link.href) for link in feed.feed.links} >= {
        ("self", f"https://terms.example/feeds/all.{format.value}"),
        ("alternate", "https://terms.example/"),
    }
    assert found.id == "tag:example.org,2026-01-31:change/12"
    assert found.title == alert().headline
    assert found.link == "https://terms.example/changes/12"
    if format is FeedFormat.ATOM:
        assert [(link.rel, link.href) for link in found.links][1] == ("related", alert().url)
    assert found.published_parsed[:6] == (2026, 10, 21, 14, 15, 11)
    assert "15 November 2026" in found.summary or "15 November 2026" in found.description
    assert ("tag:example.org,2026-01-31:scheme/topic", "AI training on your work") in {
        (tag.scheme, tag.label or tag.term) for tag in found.tags
    }


def test_json_feed_has_what_the_specification_asks_for() -> None:
    """JSON Feed 1.1: version, title, feed_url, and of each item id, url, content and date; the rest is ours."""
    feed = json.loads(publish.json_feed([alert()], publish.ALL, SETTINGS))
    [item] = feed["items"]

    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert feed["feed_url"] == "https://terms.example/feeds/all.json"
    assert item["id"] == "tag:example.org,2026-01-31:change/12"
    assert item["date_published"] == "2026-10-21T14:15:11+00:00"
    assert item["external_url"] == "https://paintbox.example/terms?a=1&b=2"
    assert "for any purpose" in item["content_text"] and "<ins" in item["content_html"]
    assert item["_tosmon"]["effective_date"] == "2026-11-15"
    assert item["_tosmon"]["flags"][0] == {
        "topic": "ai_training",
        "direction": "worse",
        "what": "The promise not to train AI models is gone",
    }


def test_entry_says_what_changed_in_words_and_marks() -> None:
    """An entry gives the date first, the direction in words, where it stands, the words before and after, evidence."""
    html = entry(alert(), SETTINGS).html

    order = [
        "Applies from 15 November 2026",
        "High severity",
        "seen 21 October 2026, 14:15 UTC",
        "Worse for you: AI training on your work",
        "Removed",
        "Privacy",
        GONE,
        "Word by word",
        "Content › Licence",
        "Before",
        "on this service</del>",
        "Now",
        "for any purpose</b></ins>",
        "3f8a0c1d",
    ]
    place = 0
    for words in order:
        place = html.find(words, place)
        assert place >= 0, f"{words!r} is not where it should be in {html}"


def test_entry_reads_well_where_tags_are_dropped() -> None:
    """A reader that shows no marks still shows two whole sentences, before and now, never both in one."""

    class Words(HTMLParser):
        text = ""

        def handle_data(self, data: str) -> None:
            self.text += data

    words = Words()
    words.feed(entry(alert(), SETTINGS).html)

    assert "You grant us a licence to show them on this service." in words.text
    assert "You grant us a licence to show them for any purpose." in words.text


def test_passage_that_a_flag_shows_whole_is_not_shown_again() -> None:
    """A removed sentence that a flag quotes from end to end stands in the entry once."""
    assert entry(alert(), SETTINGS).text.count("We will never train") == 1


def test_correction_names_the_first_entry() -> None:
    """A correction is an entry of its own that says so and names the one it corrects."""
    first = alert()
    uid = publish.alert_uid("example.org", SETTINGS.started, 12, AlertKind.CORRECTION)
    correction = alert(uid=uid, kind=AlertKind.CORRECTION, corrects=first.uid, id=13)
    atom = parsed(publish.atom([first, correction], publish.ALL, SETTINGS))

    assert [found.id for found in atom.entries] == [uid, first.uid]
    assert atom.entries[0].title.startswith("Correction: ")
    assert first.uid in atom.entries[0].content[0].value


def test_headline_that_says_its_kind_is_left_as_it_is() -> None:
    """No entry is titled "Withdrawn: Withdrawn: …"."""
    withdrawn = alert(kind=AlertKind.WITHDRAWN, headline="Withdrawn: the licence is as it was")

    assert entry(withdrawn, SETTINGS).title == "Withdrawn: the licence is as it was"


def test_date_that_was_past_when_seen_is_told_so() -> None:
    """What applied before it was seen is told in the past."""
    assert applies(date(2026, 10, 1), AT) == "Applied from 1 October 2026"
    assert applies(AT.date(), AT) == "Applies from 21 October 2026"


def test_left_out_passages_are_counted_and_linked() -> None:
    """An entry that does not show everything says how much is missing and where it is."""
    html = entry(alert(passages_left_out=1), SETTINGS).html
    assert "1 more changed passage: read on" in html

    many = tuple(Passage(ClauseChangeKind.MODIFIED, GRANT, ("Content",), number) for number in range(60))
    assert (
        "43 more changed passages: read on" in entry(alert(flags=(), passages=many, passages_left_out=3), SETTINGS).html
    )


# --- a log --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", list(FeedFormat))
def test_bytes_depend_on_the_alerts_alone(format: FeedFormat, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same alerts give the same bytes, in whatever order and whenever they are written."""
    alerts = [alert(number) for number in range(5)]
    first = feed_texts(alerts)[format]

    nothing_is_kept(monkeypatch)
    # feedgen reads the clock for each feed it makes: had its times been left in, the two would differ.
    assert feed_texts(alerts[::-1])[format] == first


def test_feed_is_dated_by_its_latest_event() -> None:
    """The date of a feed is that of its latest alert; of an empty one, the day the archive began."""
    full, empty = (
        parsed(publish.atom([alert(1), alert(2)], publish.ALL, SETTINGS)),
        publish.atom([], publish.ALL, SETTINGS),
    )

    assert full.feed.updated == "2026-10-21T14:05:11+00:00"
    assert parsed(empty).feed.updated == "2026-01-31T00:00:00+00:00"
    assert parsed(publish.rss([], publish.ALL, SETTINGS)).entries == []


@pytest.mark.parametrize("format", list(FeedFormat))
def test_feed_holds_the_latest_hundred(format: FeedFormat) -> None:
    """Of 120 alerts a feed holds the 100 recorded last, newest first."""
    body = feed_texts([alert(number) for number in range(1, 121)])[format]
    ids = [found["id"] for found in (json.loads(body)["items"] if format is FeedFormat.JSON else parsed(body).entries)]

    assert ids == [f"tag:example.org,2026-01-31:change/{number}" for number in range(120, 20, -1)]


@pytest.mark.parametrize("format", list(FeedFormat))
def test_entries_are_taken_from_the_feed_as_it_was(format: FeedFormat, monkeypatch: pytest.MonkeyPatch) -> None:
    """A feed made from the former one and a new alert is byte for byte the one made anew, and renders one entry."""
    write, alerts = WRITERS[format], [alert(number) for number in range(1, 121)]
    anew = write(alerts, publish.ALL, SETTINGS)
    former = write(alerts[:-1], publish.ALL, SETTINGS)
    nothing_is_kept(monkeypatch)
    rendered: list[str] = []

    def counted(one: Alert, settings: FeedSettings) -> Entry:
        rendered.append(one.uid)
        return entry(one, settings)

    monkeypatch.setattr(formats, "entry", counted)

    assert write(alerts, publish.ALL, SETTINGS, former) == anew
    assert rendered == [alerts[-1].uid]


@pytest.mark.parametrize("format", list(FeedFormat))
def test_former_feed_is_not_trusted_when_torn_or_laid_out_otherwise(
    format: FeedFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a file, or one by other settings or another tosmon, gives no entry to the new one."""
    write, alerts = WRITERS[format], [alert(1), alert(2)]
    anew = write(alerts, publish.ALL, SETTINGS)
    moved = write(alerts, publish.ALL, replace(SETTINGS, site_url="https://elsewhere.example"))
    for former in (anew[:-9], moved, b"", b"\xff\x00", anew.replace(b"layout", b"LAYOUT")):
        nothing_is_kept(monkeypatch)

        assert write(alerts, publish.ALL, SETTINGS, former) == anew


def test_pieces_put_together_are_what_feedgen_writes() -> None:
    """Entries that were written before are the same XML as in a feed written in one go: same tree, same namespaces."""
    body = publish.rss([alert(1), alert(2)], publish.ALL, SETTINGS)
    root = etree.fromstring(body)

    assert body.count(b"xmlns:content=") == 1 and b"ns0" not in body
    assert len(root.findall("channel/item")) == 2
    assert len(root.findall("channel/item/{http://purl.org/rss/1.0/modules/content/}encoded")) == 2
    found = etree.fromstring(publish.atom([alert(1)], publish.ALL, SETTINGS)).find(f"{ATOM}entry")
    assert found is not None
    assert [child.tag for child in found][:3] == [f"{ATOM}id", f"{ATOM}title", f"{ATOM}updated"]


@pytest.mark.parametrize("format", list(FeedFormat))
def test_hub_is_linked_when_there_is_one(format: FeedFormat) -> None:
    """With a WebSub hub every format names it."""
    settings = replace(SETTINGS, hub="https://hub.example/", icon="https://terms.example/icon.png")
    body = WRITERS[format]([alert()], publish.ALL, settings)

    assert b"https://hub.example/" in body and b"icon.png" in body
    if format is not FeedFormat.JSON:
        assert ("hub", "https://hub.example/") in {(link.rel, link.href) for link in parsed(body).feed.links}


def test_opml_lists_each_feed_once_by_kind() -> None:
    """A reader imports all feeds from one file, grouped by what they are of."""
    feeds = [
        *publish.feeds_for(alert()),
        *publish.feeds_for(alert(13, service="Brush & Co", service_name="Brush & Co")),
    ]
    root = etree.fromstring(publish.opml(feeds, SETTINGS))
    urls = [str(outline.get("xmlUrl")) for outline in root.iter("outline") if outline.get("xmlUrl")]

    assert len(urls) == len(set(urls)) == 12
    assert urls[0] == "https://terms.example/feeds/all.atom"
    assert "https://terms.example/feeds/document/Brush%20%26%20Co/Terms%20of%20Service.atom" in urls
    assert [outline.get("text") for outline in root.findall("body/outline")] == [
        "Terms we live by", "Services", "Documents", "Topics", "Severity", "Tags",
        "Who may use your work",
    ]  # fmt: skip


def test_every_kind_of_feed_has_a_maker() -> None:
    """Each kind of feed has alerts of its own, but for the operator's: pinned sentences and incidents."""
    kinds = {feed.kind for feed in publish.feeds_for(alert())}

    assert kinds == set(FeedKind) - {FeedKind.PINS, FeedKind.INCIDENTS}
    assert publish.document_feed(TermsKey("X", "Privacy Policy"), "X").title == "X: Privacy Policy"


# --- hostile text -------------------------------------------------------------------------------------------------

HOSTILE = [
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "]]> <![CDATA[ &amp; &lt; </description></item></channel>",
    "\x00\x01\x08\x0b\x0c\x1b[31m\x7f\x9b\ufffe\uffff\ud800 end",
    "invoice\u202egpj.exe\u2066\u2067\u2068\u2069",
    "line\r\nBcc: everyone@example.net\r\n\r\nbody",
    '\'"><a href="javascript:alert(1)">',
    "{{ 7 * 7 }}{% raw %} ${7*7} <%= 7 %>",
]


def hostile_alert(text: str) -> Alert:
    edits = (Edit(EditKind.SAME, text), Edit(EditKind.REMOVED, text), Edit(EditKind.ADDED, text + "!"))
    return alert(
        service=text,
        service_name=text,
        type=text,
        url=f"javascript:{text}",
        headline=text,
        summary=text,
        flags=(Flag(text, Direction.MIXED, text, (quote(text, text),), (quote(text + "!", text),)),),
        passages=(
            Passage(ClauseChangeKind.MODIFIED, edits, (text,), 1),
            Passage(ClauseChangeKind.ADDED, (Edit(EditKind.ADDED, text),), (text,), 2),
        ),
        tags=(text,),
        evidence=(text,),
        corrects=text,
        uid=f"tag:example.org,2026-01-31:change/{abs(hash(text))}",
    )


class _Tags(HTMLParser):
    """The elements and attributes that a reader would act on."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)
        for name, value in attrs:
            assert not name.startswith("on"), name
            assert not (value or "").strip().lower().startswith(("javascript:", "data:")), value


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_harmless_in_every_format(text: str) -> None:
    """Script, XML, control characters and turned text come out as visible words in valid feeds."""
    hostile = hostile_alert(text)
    for feed in publish.feeds_for(hostile):
        for format, body in feed_texts([hostile], feed).items():
            content = body.decode("utf-8")
            assert not set(content) & set("\x00\x01\x08\x0b\x0c\x1b\x7f\x9b\u202e\u2066\ufffe\uffff")
            if format is FeedFormat.JSON:
                html = json.loads(body)["items"][0]["content_html"]
            else:
                etree.fromstring(body, etree.XMLParser(resolve_entities=False))
                html = parsed(body).entries[0].content[0].value
                raw = etree.fromstring(body)
                html = next(
                    str(node.text)
                    for node in raw.iter()
                    if str(node.tag).endswith(("encoded", "}content")) and node.text
                )
            tags = _Tags()
            tags.feed(html)
            assert tags.found <= {"p", "b", "br", "bdi", "small", "blockquote", "ins", "del", "h4", "a"}
    etree.fromstring(publish.opml(publish.feeds_for(hostile), SETTINGS))


def test_words_of_a_megabyte_are_cut_quickly() -> None:
    """A page with one endless word makes an entry of ordinary size, in no time worth naming."""
    started = time.perf_counter()
    told = entry(hostile_alert("A" * 1_000_000), SETTINGS)

    assert len(told.html) < 20_000 and len(told.title) <= 320
    assert time.perf_counter() - started < 2


@given(st.text(max_size=200))
def test_any_text_makes_valid_xml(text: str) -> None:
    """Whatever a page holds, the feed is well-formed and says it in one line."""
    assert (
        etree.fromstring(publish.atom([alert(headline=text, uid=f"tag:x,2026:{hash(text)}")], publish.ALL, SETTINGS))
        is not None
    )
    assert "\n" not in line(text)


@given(st.text(max_size=300), st.integers(1, 200))
def test_lines_keep_to_their_room(text: str, room: int) -> None:
    """A line is never longer than its room and holds nothing invisible that turns or breaks it."""
    assert len(line(text, room)) <= room
    assert visible(line(text, room)) == line(text, room)


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//x.example",
        "https://",
        "http://[",
        "ftp://x.example/",
        "x",
        "https://x.example/" + "a" * 3000,
    ],
)
def test_only_web_addresses_become_links(url: str) -> None:
    """Nothing but http and https with a host is made a link."""
    assert web_address(url) is None


def test_web_address_cannot_leave_its_attribute() -> None:
    """Quotes, brackets and spaces in an address are encoded."""
    assert web_address('https://x.example/a b"><i>') == "https://x.example/a%20b%22%3E%3Ci%3E"


# --- marks --------------------------------------------------------------------------------------------------------


def test_marked_text_shows_both_sides_in_one_line() -> None:
    """In text, what went and what came stand in brackets of their own, spaces outside."""
    edits = (
        Edit(EditKind.SAME, "We may "),
        Edit(EditKind.REMOVED, "not "),
        Edit(EditKind.ADDED, "now "),
        Edit(EditKind.SAME, "sell it"),
        Edit(EditKind.REMOVED, "."),
        Edit(EditKind.ADDED, "!"),
    )

    assert publish.marked_text(edits) == "We may [-not-] {+now+} sell it[-.-] {+!+}"


def test_marked_html_escapes_words_and_marks_them() -> None:
    """In HTML, words are escaped and stand in `<ins>` and `<del>`, with inline style only where it is asked for."""
    edits = (Edit(EditKind.REMOVED, "<b>"), Edit(EditKind.ADDED, "&"))

    assert publish.marked_html(edits) == "<del>&lt;b&gt;</del><ins>&amp;</ins>"
    assert 'style="' in publish.marked_html(edits, inline_style=True)


EDITS = st.lists(st.builds(Edit, st.sampled_from(EditKind), st.text("abc .", max_size=30)), max_size=8)


@given(EDITS, st.lists(st.text("abc .", max_size=6), max_size=3))
def test_runs_of_a_side_join_to_its_text(edits: list[Edit], quotes: list[str]) -> None:
    """However quotes cut them, the runs of a side are its text, whole and in order."""
    for side in (EditKind.REMOVED, EditKind.ADDED):
        runs = side_runs(edits, side, quotes)

        assert "".join(run.text for run in runs) == "".join(e.text for e in edits if e.kind in (EditKind.SAME, side))
        for words in quotes:
            if words and words in "".join(run.text for run in runs):
                assert any(run.quoted for run in runs)


@given(EDITS.map(lambda edits: side_runs(edits, EditKind.ADDED)))
def test_short_clauses_are_shown_whole(runs: tuple[Run, ...]) -> None:
    """Nothing is cut from a clause that has room."""
    assert shortened(runs, around=300) == runs


def test_long_clauses_are_cut_around_their_marks() -> None:
    """Of a long clause people see what stands around the new words, and the new words themselves."""
    runs = (Run("left " * 200), Run("NEW", EditKind.ADDED), Run(" right" * 200))
    text = runs_text(shortened(runs, around=60))

    assert text.startswith("… left") and text.endswith("right …") and "{+NEW+}" in text
    assert len(text) < 180


# --- kept pieces, colours -----------------------------------------------------------------------------------------


def test_kept_pieces_stay_within_their_size() -> None:
    """The least used pieces go when there is no more room, and are made again when asked for."""
    kept = Kept(100)
    made: list[int] = []

    def write(number: int) -> dict[FeedFormat, bytes]:
        made.append(number)
        return {FeedFormat.RSS: b"x" * 40}

    for number in (1, 2, 1, 3, 1, 2):
        kept.get(number, partial(write, number))
    assert made == [1, 2, 3, 2]


def _luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", [style.LIGHT, style.DARK])
def test_every_text_colour_is_legible_on_its_grounds(palette: style.Palette) -> None:
    """Words reach 4.5 : 1 (WCAG AA) on every ground they stand on, in light and dark."""
    tinted = [palette.of(direction)[1] for direction in Direction]
    pairs = [
        (ink, ground)
        for ink in (palette.ink, palette.muted, palette.removed)
        for ground in (palette.paper, palette.ground, *tinted)
    ]
    pairs += [palette.of(direction) for direction in Direction]
    pairs += [(palette.of(direction)[0], palette.paper) for direction in Direction]
    pairs += [(palette.added, palette.added_ground), (palette.removed, palette.removed_ground)]
    pairs += [(palette.link, palette.paper), (palette.link, palette.ground), (palette.button_ink, palette.button)]

    assert [(pair, round(contrast(*pair), 2)) for pair in pairs if contrast(*pair) < 4.5] == []
    assert f"--worse-ground: {palette.worse_ground};" in style.custom_properties(palette)


# --- what follows on an alert ----------------------------------------------------------------------------------------


def taken_back(**changes: Any) -> Alert:
    told = alert(
        kind=AlertKind.WITHDRAWN,
        headline="Taken back: Paintbox Terms of Service: may train AI models on your content",
        corrects=alert().uid,
        at=datetime(2026, 11, 2, 9, 0, tzinfo=UTC),
        seen_at=AT,
        stands_since=datetime(2026, 10, 30, 9, 0, tzinfo=UTC),
        version_id=77,
    )
    return replace(told, **changes)


def test_withdrawal_shows_the_text_that_stands_again() -> None:
    """What was announced no longer applies, and the earlier text is what stands: never the reverse."""
    told = entry(taken_back(), SETTINGS).told
    sides = [side for passage in told.passages for side in passage.sides]

    assert [(side.label, "".join(run.text for run in side.runs)) for side in sides][-2:] == [
        ("Announced 21 October 2026 (no longer applies)", "You grant us a licence to show them for any purpose."),
        ("Stands again since 30 October 2026", "You grant us a licence to show them on this service."),
    ]
    assert {flag.direction_words for flag in told.flags} == {"Taken back"}
    assert told.applies == "No longer applies: the earlier text stands again since 30 October 2026"


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        (AlertKind.REMINDER, "21 October 2026, 14:03 UTC; reminder sent on 2 November 2026"),
        (AlertKind.WITHDRAWN, "21 October 2026, 14:03 UTC; withdrawn on 30 October 2026"),
    ],
)
def test_what_follows_on_says_when_the_change_was_seen(kind: AlertKind, seen: str) -> None:
    """A reminder's own time is not when the change was seen."""
    since = taken_back().stands_since if kind is AlertKind.WITHDRAWN else None

    assert entry(taken_back(kind=kind, stands_since=since), SETTINGS).told.seen == seen


def test_entry_says_each_thing_once() -> None:
    """No title has two words for its kind, no summary repeats the headline or a flag, an id stands in the evidence."""
    told = entry(taken_back(summary="May train AI models on your content; no date in it."), SETTINGS)

    assert told.title.startswith("Taken back: ") and told.told.summary == "No date in it."
    assert told.text.index("Evidence") < told.text.index("tag:") and told.text.count("tag:") == 1
