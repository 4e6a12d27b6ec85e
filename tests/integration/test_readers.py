"""Feeds as others read them: by the grammar of Atom, and in newsboat, a reader that people use."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from lxml import etree
from test_feeds import alert

from tosmon import publish
from tosmon.model import Alert, AlertKind, Direction, Flag
from tosmon.publish import FeedFormat, FeedSettings

SETTINGS = FeedSettings(
    "Terms we live by", "https://terms.example", "example.org", date(2026, 1, 31), hub="https://hub.example/"
)
HOSTILE = "<script>alert(1)</script> & \x00\x1b[31m \u202egnp.exe ]]> </title></entry></item> \ufffe"
ATOM = "{http://www.w3.org/2005/Atom}"


def alerts() -> list[Alert]:
    """Some of each sort: plain, corrected, hostile, and enough of them to be cut."""
    some = [alert(number) for number in range(1, 120)]
    some[5] = replace(some[5], kind=AlertKind.CORRECTION, corrects=some[4].uid)
    flags = (Flag("ai_training", Direction.WORSE, HOSTILE), Flag("content_license", Direction.BETTER, HOSTILE))
    hostile = replace(alert(120), headline=HOSTILE, summary=HOSTILE, type=HOSTILE, tags=(HOSTILE, "art"), flags=flags)
    return [*some, hostile, replace(alert(121), url="javascript:alert(1)")]


def feeds_of(told: list[Alert]) -> list[publish.Feed]:
    return list(dict.fromkeys([feed for one in told for feed in publish.feeds_for(one)] + [publish.PINS]))


@pytest.fixture
def public(tmp_path: Path) -> Iterator[Path]:
    """Every feed that there can be, in every format, as files."""
    told = alerts()
    publish.write(
        tmp_path, lambda feed: [one for one in told if feed in publish.feeds_for(one)], feeds_of(told), SETTINGS
    )
    publish.write_opml(tmp_path, feeds_of(told), SETTINGS)
    yield tmp_path


def test_every_atom_feed_is_what_the_standard_asks_for(public: Path) -> None:
    """RFC 4287 as a grammar, and what a grammar cannot say: ids and permalinks that are single, a self link."""
    grammar = etree.RelaxNG(etree.parse(Path(__file__).with_name("atom.rng")))
    files = sorted((public / "feeds").rglob("*.atom"))
    assert len(files) > 10
    for file in files:
        feed = etree.parse(file)
        assert grammar.validate(feed), (file, grammar.error_log)
        ids = [found.text for found in feed.iter(f"{ATOM}id")]
        assert len(ids) == len(set(ids)) and all(one and one.startswith("tag:") for one in ids)
        for entry in feed.iter(f"{ATOM}entry"):
            links = [link.get("rel", "alternate") for link in entry.findall(f"{ATOM}link")]
            assert links.count("alternate") == 1
        own = {link.get("rel"): link.get("href") for link in feed.getroot().findall(f"{ATOM}link")}
        assert own["self"] == f"https://terms.example/{quote(str(file.relative_to(public)))}"
        assert own["hub"] == "https://hub.example/"


def test_grammar_refuses_what_is_no_feed() -> None:
    """A test that cannot fail proves nothing."""
    grammar = etree.RelaxNG(etree.parse(Path(__file__).with_name("atom.rng")))
    feed = publish.atom([alert(1)], publish.ALL, SETTINGS)
    assert grammar.validate(etree.fromstring(feed))
    for wrong in (b"<updated>yesterday</updated>", b"", b"<updated>2026-10-21T14:00:00</updated>"):
        start = feed.index(b"<updated>")
        end = feed.index(b"</updated>") + len(b"</updated>")
        assert not grammar.validate(etree.fromstring(feed[:start] + wrong + feed[end:]))


def test_opml_lists_every_feed_once(public: Path) -> None:
    """All feeds in one go, each under the heading of its kind."""
    opml = etree.parse(public / publish.OPML_FILE)
    outlines = list(opml.iter("outline"))
    listed = [str(outline.get("xmlUrl")) for outline in outlines if outline.get("xmlUrl")]
    written = {
        f"https://terms.example/{quote(str(file.relative_to(public)))}" for file in (public / "feeds").rglob("*.atom")
    }
    assert len(listed) == len(set(listed)) and set(listed) == written
    assert {"Who may use your work", "Pinned sentences", "Topics"} <= {outline.get("text") for outline in outlines}


@pytest.mark.parametrize("format", [FeedFormat.RSS, FeedFormat.ATOM])
def test_newsboat_reads_every_feed(public: Path, tmp_path: Path, format: FeedFormat) -> None:
    """A reader of Debian takes each feed: its hundred entries, their titles, ids and permalinks, and nothing that runs."""
    newsboat = shutil.which("newsboat")
    if newsboat is None and not os.environ.get("CI"):
        pytest.skip("newsboat is not installed")
    assert newsboat is not None, "CI needs newsboat: apt-get install newsboat"
    for file in sorted((public / "feeds").rglob(f"*.{format.value}")):
        title, entries = _in_newsboat(newsboat, file, tmp_path)
        assert title and len(entries) == _entries(file), file
        for guid, headline, url, published in entries:
            assert guid.startswith("tag:example.org,2026-01-31:change/") and headline
            assert url.startswith("https://terms.example/changes/")
            assert datetime.fromtimestamp(published, UTC).date() >= date(2026, 10, 21)


def _in_newsboat(newsboat: str, file: Path, folder: Path) -> tuple[str, list[tuple[str, str, str, int]]]:
    """The title and the entries (id, title, link, time) that newsboat keeps of a feed."""
    # Each in a cache of its own, as one entry stands in many feeds; a space in an address would begin a tag.
    urls, cache, plain = folder / "urls", folder / "cache.db", folder / "feed.xml"
    shutil.copy(file, plain)
    cache.unlink(missing_ok=True)
    urls.write_text(f"file://{plain}\n")
    (folder / "config").write_text("auto-reload no\n")
    done = subprocess.run(
        [newsboat, f"--url-file={urls}", f"--cache-file={cache}", f"--config-file={folder}/config",
         "--execute", "reload"],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "HOME": str(folder)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with closing(sqlite3.connect(cache)) as database:
        [(title,)] = database.execute("SELECT title FROM rss_feed").fetchall()
        return title, database.execute("SELECT guid, title, url, pubDate FROM rss_item").fetchall()


def _entries(file: Path) -> int:
    tree = etree.parse(file)
    return len(tree.findall(f".//{ATOM}entry")) + len(tree.findall(".//item"))
