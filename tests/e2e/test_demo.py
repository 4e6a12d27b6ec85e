"""The demo's story, end to end: `tosmon.demo.story` has what the platforms did, this what people must hear of it."""

from __future__ import annotations

import calendar
import json
import re
import signal
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path
from subprocess import Popen

import feedparser
import pytest
from stories import Lived

from tosmon.archive import Archive
from tosmon.config import load_config
from tosmon.demo import EVENTS
from tosmon.model import Alert, AlertKind, ChangeState, ClauseChangeKind, Direction, Severity, Verdict

ROOT = Path(__file__).parents[2]
TERMS, PRIVACY = "Terms of Service", "Privacy Policy"
WORSE, BETTER = Direction.WORSE, Direction.BETTER
A_LOOK = timedelta(days=1, hours=1)  # the demo looks once a day, and again after ten minutes


@dataclass(frozen=True)
class Expected:
    """One alert that the story must lead to: of which document, from which day of the story on, saying what."""

    service: str
    type: str
    day: int
    flags: dict[str, Direction] = field(default_factory=dict)
    never: tuple[str, ...] = ()  # topics that a careless reader would flag
    quote: str = ""  # must be within the words that some flag quotes
    words: str = ""  # must be among the added or removed words shown
    applies: date | None = None
    silent: bool = False
    kind: AlertKind = AlertKind.CHANGE
    within: timedelta = A_LOOK


# Written from the story before the demo was first run. 12 March 2025 is day 0.
EXPECTED = (
    Expected(
        "Quillhaven", TERMS, 6, never=("ai_training", "content_license"), words="train or develop artificial intelligence"
    ),
    Expected(
        "Quillhaven", TERMS, 16, {"content_license": WORSE}, ("ai_training",), "perpetual and irrevocable licence"
    ),
    Expected("Noteharbor", TERMS, 24, never=("ai_training", "content_license"), words="twenty-fifth"),
    # The experiment ended on day 36 at the latest, with the old text; three days later that is no coincidence.
    Expected("Noteharbor", TERMS, 36, kind=AlertKind.WITHDRAWN, within=timedelta(days=5)),
    Expected(
        "Tattlebird",
        TERMS,
        42,
        {"ai_training": WORSE, "content_license": WORSE},
        quote="train our machine learning and artificial intelligence models",
        applies=date(2025, 5, 14),
    ),
    Expected(
        "Easelry", TERMS, 48, {"ai_training": WORSE}, quote="We will never use your work to train", silent=True
    ),
    Expected(
        "Tattlebird",
        TERMS,
        62,  # the evening before the day it applies from, at nine: the reminder comes on the day itself
        {"ai_training": WORSE, "content_license": WORSE},
        applies=date(2025, 5, 14),
        kind=AlertKind.REMINDER,
        within=timedelta(days=1, hours=14),
    ),
    Expected("Lumigraph", TERMS, 84, {"ai_training": BETTER}, quote="opt out"),
    Expected("Gatherwick", TERMS, 91, never=("ai_training", "content_license"), words="8"),
    Expected(
        "Tattlebird",
        PRIVACY,
        98,
        {"ai_training": WORSE},
        quote="train their own artificial intelligence models",
        applies=date(2025, 7, 10),
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def archive(lived: Lived) -> Iterator[Archive]:
    archive = Archive(f"sqlite:///{lived.folder / 'archive.sqlite'}")
    yield archive
    archive.close()


@pytest.fixture(scope="module")
def alerts(archive: Archive) -> list[Alert]:
    """Everything people were told, oldest first."""
    return archive.browse.alerts("all", 1000)[::-1]


# --- what people are told --------------------------------------------------------------------------------------------


def test_people_are_told_what_the_story_says_and_nothing_else(alerts: list[Alert]) -> None:
    """Each thing that matters is told once, in its order; flaps, challenges, redesigns and nonces are not told."""
    assert [(alert.service, alert.type, alert.kind) for alert in alerts] == [
        (one.service, one.type, one.kind) for one in EXPECTED
    ]


@pytest.mark.parametrize("number", range(len(EXPECTED)), ids=[f"{one.service}-{one.day}" for one in EXPECTED])
def test_an_alert_says_what_changed_for_whom_and_from_when(number: int, alerts: list[Alert], lived: Lived) -> None:
    """An alert comes at the next look, with flags and their direction, exact quotes and the day from which it applies."""
    expected, alert = EXPECTED[number], alerts[number]
    flags = {flag.topic: flag.direction for flag in alert.flags}
    quotes = [quote.text for flag in alert.flags for quote in (*flag.before, *flag.after)]
    shown = " ".join(edit.text for passage in alert.passages for edit in passage.edits)

    begun = lived.story.moment(expected.day)
    assert begun <= alert.at <= begun + expected.within
    assert expected.flags.items() <= flags.items()
    assert not flags.keys() & set(expected.never)
    assert any(expected.quote in quote for quote in quotes) or not expected.quote
    assert expected.words in shown
    assert alert.effective_date == expected.applies
    assert alert.silent == expected.silent


def test_what_gets_worse_for_creators_is_of_high_severity(alerts: list[Alert]) -> None:
    """A new right to train AI, or a promise gone, is as severe as it gets; a fee is not."""
    trains = [
        alert
        for alert in alerts
        if any(flag.topic == "ai_training" and flag.direction is WORSE for flag in alert.flags)
    ]

    assert len(trains) == 4
    assert {alert.severity for alert in trains} == {Severity.HIGH}
    assert next(alert for alert in alerts if alert.service == "Gatherwick").severity is not Severity.HIGH


def test_a_headline_names_the_platform_the_point_and_the_day(alerts: list[Alert]) -> None:
    """A headline can be read alone, in one line."""
    announced = next(alert for alert in alerts if alert.service == "Tattlebird")

    assert announced.headline.startswith("Tattlebird Terms of Service")
    assert "train" in announced.headline and "14 May 2025" in announced.headline
    assert all("\n" not in alert.headline and len(alert.headline) < 300 for alert in alerts)


def test_quotes_are_exact_words_of_the_stored_version(alerts: list[Alert], archive: Archive) -> None:
    """Each quote of a flag stands in the version it speaks of, at the place it names."""
    for alert in alerts:
        change = archive.browse.change(alert.change_id)
        assert change is not None
        before, after = archive.browse.clauses(change.before_id), archive.browse.clauses(change.after_id)
        for flag in alert.flags:
            for clauses, quotes in ((before, flag.before), (after, flag.after)):
                assert all(clauses[quote.clause].text[quote.start : quote.end] == quote.text for quote in quotes)


def test_an_inserted_section_is_told_without_the_renumbering_that_follows(alerts: list[Alert]) -> None:
    """Five sections got new numbers; people see the new one alone."""
    inserted = next(
        alert for alert in alerts if alert.service == "Quillhaven" and alert.flags[0].topic == "content_license"
    )

    assert {passage.kind for passage in inserted.passages} == {ClauseChangeKind.ADDED}
    assert len(inserted.passages) == 2  # the heading and its clause


# --- what people are not told ----------------------------------------------------------------------------------------


def test_a_redesign_with_the_same_text_is_kept_and_told_to_nobody(archive: Archive, lived: Lived) -> None:
    """New markup makes at most a quiet change."""
    around = lived.story.moment(66)
    changes = archive.browse.changes(service="Lumigraph", told_only=False, limit=100)

    near = [change for change in changes if abs(change.at - around) < A_LOOK * 2]
    assert all(change.state is ChangeState.SUPPRESSED for change in near)


def test_each_variant_of_an_experiment_is_told_once(archive: Archive) -> None:
    """Every flip is recorded with its reason, and only the first is told (and taken back in the end)."""
    changes = archive.browse.changes(service="Noteharbor", told_only=False, limit=100)

    assert Counter(change.state for change in changes)[ChangeState.WITHDRAWN] == 1
    quiet = [change for change in changes if change.state is not ChangeState.WITHDRAWN]
    assert len(quiet) >= 4
    assert all(change.state is ChangeState.SUPPRESSED and "returned" in change.reason for change in quiet)


def test_what_cannot_be_read_is_an_incident_and_never_a_version(archive: Archive, lived: Lived) -> None:
    """A challenge, a failing part and a log-in open incidents; the first two close by themselves, the last is still open."""
    incidents = archive.browse.incidents(open_only=False)
    still_open = archive.browse.incidents()

    assert Counter((one.key.service, one.key.type, one.verdict) for one in incidents) == {
        ("Gatherwick", TERMS, Verdict.BLOCKED): 1,
        ("Gatherwick", PRIVACY, Verdict.BLOCKED): 1,
        ("Noteharbor", TERMS, Verdict.BLOCKED): 1,
        ("Gatherwick", PRIVACY, Verdict.LOGIN): 1,
    }
    assert [(one.key.service, one.verdict) for one in still_open] == [("Gatherwick", Verdict.LOGIN)]
    assert still_open[0].last_whole_at is not None
    assert still_open[0].last_whole_at < lived.story.moment(106) < still_open[0].last_at
    texts = [
        clause.text.lower()
        for row in archive.browse.documents()
        for version in archive.browse.versions(row.key)
        for clause in archive.browse.clauses(version.id)
    ]
    assert not [text for text in texts if "verify you are human" in text or "you must log in" in text]


def test_frames_of_pages_are_no_part_of_the_terms(archive: Archive) -> None:
    """Menus, cookie banners, counters and recommendations are left out, with and without selectors."""
    for row in archive.browse.documents():
        assert row.latest_version_id is not None
        text = " ".join(clause.text for clause in archive.browse.clauses(row.latest_version_id))
        assert not re.search(
            r"artists and counting|214 partners|Bread for beginners|Was this page helpful|Visitors today", text
        )


# --- how they are told ------------------------------------------------------------------------------------------------


def test_feeds_hold_every_alert_once(lived: Lived, alerts: list[Alert]) -> None:
    """RSS and Atom are read by a feed reader without a complaint; ids are permanent and dates those of the events."""
    for name in ("all.atom", "all.rss"):
        feed = feedparser.parse((lived.folder / "public" / "feeds" / name).read_bytes())

        assert not feed.bozo
        assert [entry.id for entry in feed.entries] == [alert.uid for alert in reversed(alerts)]
        assert all(entry.id.startswith("tag:") and entry.title for entry in feed.entries)
        published = [datetime.fromtimestamp(calendar.timegm(entry.published_parsed), UTC) for entry in feed.entries]
        assert published == [alert.at.replace(microsecond=0) for alert in reversed(alerts)]


def test_there_is_a_feed_for_each_topic_and_service(lived: Lived) -> None:
    """Who cares for AI training alone subscribes to that."""
    feed = feedparser.parse((lived.folder / "public" / "feeds" / "topic" / "ai_training.atom").read_bytes())

    assert [entry.title.split()[0] for entry in feed.entries if "Now in force" not in entry.title]
    assert len(feed.entries) == 5  # announced twice, its day come once, a promise gone, an opt-out
    assert (lived.folder / "public" / "feeds" / "service" / "Easelry.rss").is_file()


def mails_of(folder: Path) -> list[EmailMessage]:
    parser = BytesParser(policy=default)
    found = [parser.parsebytes(path.read_bytes()) for path in sorted((folder / "mail").glob("*.eml"))]
    assert all(isinstance(mail, EmailMessage) for mail in found)
    return [mail for mail in found if isinstance(mail, EmailMessage)]


def test_each_alert_is_one_mail(lived: Lived, alerts: list[Alert]) -> None:
    """The reader gets every alert by real SMTP, once, each under its own Message-ID, threaded by document."""
    mails = mails_of(lived.folder)

    assert len(mails) == len(alerts) == len({mail["Message-ID"] for mail in mails})
    assert all(not mail.defects and mail["To"].addresses[0].addr_spec == "you@reader.example" for mail in mails)
    assert all(alert.service in str(mail["Subject"]) for mail, alert in zip(mails, alerts, strict=True))
    threads = {(alert.service, alert.type): str(mail["References"]) for mail, alert in zip(mails, alerts, strict=True)}
    assert len(set(threads.values())) == len(threads)


def test_a_mail_quotes_before_and_after_in_text_and_html(lived: Lived) -> None:
    """What was promised and is gone can be read in the mail itself, in both of its forms."""
    (mail,) = [mail for mail in mails_of(lived.folder) if "Easelry" in str(mail["Subject"])]
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None and html is not None

    for part in (text, html):
        assert "We will never use your work to train artificial intelligence models" in " ".join(
            part.get_content().split()
        )


def test_the_story_is_documented_as_it_is_told() -> None:
    """docs/demo.md lists every event of the story on its day."""
    documented = re.findall(
        r"^\| (\d+) \| (\w+) \| ([^|(]+) \|", (ROOT / "docs" / "demo.md").read_text("utf-8"), re.MULTILINE
    )

    assert documented == [(str(event.day), event.service, event.what) for event in EVENTS]


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_narrator_tells_both_sides(lived: Lived) -> None:
    """What a platform does and what tosmon makes of it stand under each other."""
    said = "\n".join(lived.said)

    assert re.search(r"29 Apr 2025  Easelry takes out a promise.*\n +→ told: .*Easelry", said)
    assert "Gatherwick asks visitors to prove that they are human" in said and "can be read again" in said
    assert "told to nobody" in said


def test_the_demo_is_filled_within_thirty_seconds(lived: Lived) -> None:
    """Nobody waits longer for a first look. (CI machines are slow: they get three times as long.)"""
    assert lived.result.seconds < 90


def test_demo_once_leaves_a_folder_full_of_everything(tosmon: Callable[..., Popen[str]], tmp_path: Path) -> None:
    """`tosmon demo --once` leaves when the archive is filled, with mails, feeds and captured pages beside it."""
    folder = tmp_path / "demo"
    process = tosmon("demo", "--once", "--folder", str(folder))
    out, err = process.communicate(timeout=200)

    assert process.returncode == 0, err
    assert "Easelry takes out a promise" in out and "Traceback" not in err
    assert len(mails_of(folder)) == len(EXPECTED)
    assert (folder / "archive.sqlite").is_file()
    assert list((folder / "public").rglob("*.rss")) and list((folder / "snapshots").rglob("*.warc.gz"))
    config = load_config(folder / "config.yaml", {})
    assert config.archive == f"sqlite:///{folder / 'archive.sqlite'}" and config.public == folder / "public"
    assert config.terms() and all(terms.paused for terms in config.terms())


def test_a_folder_with_an_archive_is_left_alone(tosmon: Callable[..., Popen[str]], tmp_path: Path) -> None:
    """The demo never writes into an archive that is there."""
    (tmp_path / "archive.sqlite").write_bytes(b"mine")
    process = tosmon("demo", "--once", "--folder", str(tmp_path))
    _, err = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "holds an archive already" in err
    assert (tmp_path / "archive.sqlite").read_bytes() == b"mine"


def test_demo_serves_its_archive_until_interrupted(tosmon: Callable[..., Popen[str]], tmp_path: Path) -> None:
    """When the story is told its archive can be browsed, with its feeds; Ctrl-C ends it in order."""
    process = tosmon("demo", "--no-browser", "--port", "0", "--folder", str(tmp_path / "demo"))
    assert process.stdout is not None
    address = ""
    for line in process.stdout:
        if found := re.search(r"archive is at (http://127\.0\.0\.1:\d+)", line):
            address = found[1]
            break

    front = get(address + "/")
    assert "Tattlebird" in front and "train" in front
    pages = {path for path in re.findall(r'href="(/[^"#?]*)', front) if not path.startswith("/static")}
    assert len(pages) > 5
    for path in sorted(pages):
        assert get(address + path)
    assert not feedparser.parse(get(address + "/feeds/all.atom")).bozo
    assert json.loads(get(address + "/health"))["status"] == "ok"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) in (0, 130)


def get(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{url}: {error.code}") from error
