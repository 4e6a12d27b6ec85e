"""Feeds as files: written in one step and only when they change, and served with validators that hold."""

from __future__ import annotations

import gzip
import itertools
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import feedparser
import pytest

from tosmon import publish
from tosmon.model import Alert, AlertKind, Direction, Flag, Severity
from tosmon.publish import Feed, FeedSettings, Shelf, files

SETTINGS = FeedSettings("Terms we live by", "https://terms.example", "example.org", date(2026, 1, 31))


def alert(number: int, service: str = "Paintbox") -> Alert:
    return Alert(
        uid=publish.alert_uid("example.org", SETTINGS.started, number, AlertKind.CHANGE),
        kind=AlertKind.CHANGE,
        at=datetime(2026, 10, 21, tzinfo=UTC) + timedelta(minutes=number),
        service=service,
        service_name=service,
        type="Terms of Service",
        url="https://paintbox.example/terms",
        headline=f"{service} Terms of Service: news {number}",
        severity=Severity.MEDIUM,
        flags=(Flag("ai_training", Direction.WORSE, "May train"),),
        tags=("art",),
        change_id=number,
        id=number,
    )


def told(folder: Path, alerts: Sequence[Alert]) -> tuple[Path, ...]:
    feeds = [feed for one in alerts for feed in publish.feeds_for(one)]
    return publish.write(
        folder, lambda feed: [one for one in alerts if feed in publish.feeds_for(one)], feeds, SETTINGS
    )


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_feeds_lie_where_their_links_say(tmp_path: Path) -> None:
    """Each feed is three files under `feeds/`, readable by any web server, and its self link is its path."""
    written = told(tmp_path, [alert(1)])

    assert names(tmp_path) == {
        f"feeds/{name}.{ending}"
        for ending in ("rss", "atom", "json")
        for name in (
            "all",
            "service/Paintbox",
            "document/Paintbox/Terms of Service",
            "severity/medium",
            "topic/ai_training",
            "topic/ai_training/worse",
            "profile",
            "tag/art",
        )
    }
    assert set(written) == {tmp_path / name for name in names(tmp_path)}
    parsed = feedparser.parse((tmp_path / "feeds/document/Paintbox/Terms of Service.atom").read_bytes())
    assert parsed.feed.links[0].href == "https://terms.example/feeds/document/Paintbox/Terms%20of%20Service.atom"
    assert (tmp_path / "feeds/all.rss").stat().st_mode & 0o777 == 0o644


def test_files_are_touched_only_when_their_bytes_change(tmp_path: Path) -> None:
    """What did not change keeps its time; a new alert of one service leaves the other service's files alone."""
    told(tmp_path, [alert(1), alert(2, "Brushwork")])
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in names(tmp_path)}

    assert told(tmp_path, [alert(1), alert(2, "Brushwork")]) == ()
    written = told(tmp_path, [alert(1), alert(2, "Brushwork"), alert(3)])

    assert {(tmp_path / name).stat().st_mtime_ns for name in before if "Brushwork" in name} <= set(before.values())
    assert not any("Brushwork" in str(path) for path in written)
    assert tmp_path / "feeds/all.atom" in written and tmp_path / "feeds/service/Paintbox.json" in written


def test_many_feeds_are_written_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many feeds there are, only some of them are held in memory, and all are written."""
    monkeypatch.setattr(files, "_BATCH", 1)

    assert len(told(tmp_path, [alert(1), alert(2, "Brushwork")])) == 30
    assert told(tmp_path, [alert(1), alert(2, "Brushwork")]) == ()


def test_full_disk_leaves_every_feed_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is told of; each feed is then the old or the new one, never half of it, and the next round mends it."""
    told(tmp_path / "old", [alert(1)])
    told(tmp_path / "new", [alert(1), alert(2)])
    told(tmp_path / "public", [alert(1)])
    count = itertools.count()

    def full(number: int, mode: int) -> None:
        if next(count) == 4:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fchmod", full)
        with pytest.raises(OSError, match="No space left"):
            told(tmp_path / "public", [alert(1), alert(2)])

    assert names(tmp_path / "public") == names(tmp_path / "old")
    found = {name: (tmp_path / "public" / name).read_bytes() for name in names(tmp_path / "public")}
    old, new = ({name: (tmp_path / state / name).read_bytes() for name in found} for state in ("old", "new"))
    assert [name for name in found if found[name] not in (old[name], new[name])] == []
    assert [name for name in found if found[name] == old[name]] != []

    assert told(tmp_path / "public", [alert(1), alert(2)])
    assert {name: (tmp_path / "public" / name).read_bytes() for name in found} == new


def test_no_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    """A service called like a path is written inside the public folder, and nothing else is read from it."""
    folder = tmp_path / "public"
    hostile = replace(alert(1), service="../../evil", type="/etc/passwd", tags=("..", "a\\b", "x\x00y"))
    (tmp_path / "secret.rss").write_text("secret")

    written = told(folder, [hostile])

    assert written and all(path.resolve().is_relative_to(folder) for path in written)
    assert names(tmp_path) == {"secret.rss", *(f"public/{name}" for name in names(folder))}
    shelf = Shelf(folder)
    for name in (
        "../secret.rss",
        "/etc/passwd",
        "feeds/../../secret.rss",
        "feeds/a\x00.rss",
        "feeds",
        "",
        ".hidden.rss",
        "x" * 5000 + ".rss",
    ):
        assert shelf.get(name) is None


def test_shelf_serves_the_bytes_with_validators(tmp_path: Path) -> None:
    """A conditional GET with what was given before is answered with 304, until a new alert comes."""
    told(tmp_path, [alert(1)])
    shelf = Shelf(tmp_path)
    first = shelf.get("feeds/all.atom")
    assert first is not None

    assert first.body == (tmp_path / "feeds/all.atom").read_bytes() == gzip.decompress(first.gzipped)
    assert first.media_type == "application/atom+xml; charset=utf-8"
    assert parsedate_to_datetime(first.last_modified).tzinfo is not None
    assert first.unchanged(first.etag, None) and first.unchanged(f'"other", {first.etag}', None)
    assert first.unchanged(None, first.last_modified) and not first.unchanged(None, None)
    assert not first.unchanged('"other"', first.last_modified)  # the ETag goes first
    assert shelf.get("feeds/all.atom") is first

    told(tmp_path, [alert(1), alert(2)])
    second = shelf.get("feeds/all.atom")
    assert second is not None and not second.unchanged(first.etag, None)


def test_opml_is_a_file_of_its_own(tmp_path: Path) -> None:
    """The list of feeds lies beside them and is written when a feed is new."""
    feeds: list[Feed] = list(publish.feeds_for(alert(1)))

    assert publish.write_opml(tmp_path, feeds, SETTINGS) == (tmp_path / "feeds.opml",)
    assert publish.write_opml(tmp_path, feeds, SETTINGS) == ()
    stored = Shelf(tmp_path).get("feeds.opml")
    assert stored is not None and stored.media_type.startswith("text/x-opml")


DOCS = Path(__file__).parents[2] / "docs"


def test_every_kind_of_feed_and_format_is_documented() -> None:
    """The manual names each feed's address and each format."""
    manual = (DOCS / "feeds.md").read_text(encoding="utf-8")

    for feed in publish.feeds_for(alert(1)):
        assert f"`feeds/{feed.path.partition('/')[0]}" in manual
    for format in publish.FeedFormat:
        assert f"`.{format.value}`" in manual
    assert publish.OPML_FILE in manual
