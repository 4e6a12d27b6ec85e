"""Keeping an archive for years: other names, backups, migrations, verification from the command line."""

from __future__ import annotations

import io
import sqlite3
import tarfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import requests
import web_story as story
from web_server import serving

from tosmon import cli
from tosmon.archive import Archive
from tosmon.archive.backup import back_up, restore
from tosmon.clauses import join
from tosmon.errors import ArchiveError
from tosmon.model import TermsKey
from tosmon.publish.feeds import document_feed, service_feed
from tosmon.run import Works, beat
from tosmon.web import WebSettings, app
from tosmon.web.moved import moved_to


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """The web story's archive, with pages as received."""
    made = Archive(f"sqlite:///{tmp_path}/archive.sqlite")
    story.tell(made, tmp_path / "snapshots")
    yield made
    made.close()


def feeds(service: str, type: str | None) -> str:
    return (service_feed(service, "") if type is None else document_feed(TermsKey(service, type), "")).path


def texts(archive: Archive) -> dict[TermsKey, list[str]]:
    return {
        one.key: [join(archive.browse.clauses(version.id)) for version in archive.browse.versions(one.key)]
        for one in archive.browse.documents()
    }


# --- other names -------------------------------------------------------------------------------------------------------


def test_a_renamed_service_keeps_history_feeds_and_links(archive: Archive, tmp_path: Path) -> None:
    """Versions, changes and feeds go on under the new key; old addresses lead there; the chain still holds."""
    old = next(
        change.key for change in archive.browse.changes() if archive.browse.alerts(feeds(change.key.service, None))
    )
    before, told = archive.browse.versions(old), archive.browse.alerts(feeds(old.service, None))
    new = TermsKey("New & shiny", old.type)

    assert archive.identities.rename(old.service, new.service, feeds)

    assert [version.id for version in archive.browse.versions(new)] == [version.id for version in before]
    assert archive.browse.alerts(feeds(new.service, None)) == told != []
    assert archive.verify(tmp_path / "snapshots").faults == []
    assert not archive.identities.rename(old.service, new.service, feeds), "done once"
    with serving(app(archive, WebSettings())) as base:
        page = requests.get(f"{base}/services/{old.service}/{old.type}?x=1", allow_redirects=False, timeout=30)
        assert page.status_code == 301
        assert page.headers["Location"] == "/services/New%20%26%20shiny/" + old.type.replace(" ", "%20") + "?x=1"
        assert requests.get(f"{base}/services/{old.service}", timeout=30).status_code == 200
        feed = requests.get(f"{base}/feeds/service/{old.service}.atom", allow_redirects=False, timeout=30)
        assert feed.status_code == 301 and feed.headers["Location"].startswith("/feeds/service/New%20%26%20shiny.")


def test_two_histories_of_one_type_stay_two(archive: Archive) -> None:
    """A service never takes over another one's document of the same type."""
    first, second = [key.service for key in sorted(texts(archive)) if key.type == "Terms of Service"][:2]

    with pytest.raises(ArchiveError, match="two histories"):
        archive.identities.rename(first, second, feeds)


def test_no_address_leads_away() -> None:
    """A redirect stays on this site, whatever the path says, and touches nothing but services' names."""
    former = {"Old": "//evil.example", "at": "x"}

    assert moved_to("/services/Old/Terms", former) == "/services/%2F%2Fevil.example/Terms"
    assert moved_to("/services/X/Terms/at/2024", former) is None
    assert moved_to("//Old/x", former) is None
    assert moved_to("/services/New", former) is None


# --- backups -----------------------------------------------------------------------------------------------------------


def test_a_backup_brings_everything_back(archive: Archive, tmp_path: Path) -> None:
    """Database and pages are there again, byte for byte, while the archive was open all the time."""
    assert back_up(tmp_path / "archive.sqlite", tmp_path / "snapshots", tmp_path / "b.tar") == []

    restore(tmp_path / "b.tar", tmp_path / "new" / "archive.sqlite", tmp_path / "new" / "snapshots")

    again = Archive(f"sqlite:///{tmp_path}/new/archive.sqlite")
    found = again.verify(tmp_path / "new" / "snapshots")
    assert (found.faults, found.snapshots > 0) == ([], True)
    assert texts(again) == texts(archive)
    again.close()
    with pytest.raises(ArchiveError, match="there already"):
        restore(tmp_path / "b.tar", tmp_path / "new" / "archive.sqlite", tmp_path / "new" / "snapshots")


def test_a_torn_or_hostile_backup_is_refused(archive: Archive, tmp_path: Path) -> None:
    """Nothing takes the archive's place but a backup that is whole; no member leads out of the folder."""
    back_up(tmp_path / "archive.sqlite", tmp_path / "snapshots", tmp_path / "b.tar")
    whole = (tmp_path / "b.tar").read_bytes()
    flipped = bytearray(whole)
    flipped[5000] ^= 1
    for name, contents in (("torn.tar", whole[: len(whole) // 2]), ("flipped.tar", bytes(flipped))):
        (tmp_path / name).write_bytes(contents)
        with pytest.raises(ArchiveError):
            restore(tmp_path / name, tmp_path / "x" / "archive.sqlite", tmp_path / "x" / "snapshots")
        assert not (tmp_path / "x" / "archive.sqlite").exists()
    manifest = b'{"sha256": {"archive.sqlite": "0", "snapshots/../../evil": "0"}}'
    with tarfile.open(tmp_path / "evil.tar", "w") as bundle:
        for name, contents in (("snapshots/../../evil", b"x"), ("archive.sqlite", b""), ("MANIFEST.json", manifest)):
            entry = tarfile.TarInfo(name)
            entry.size = len(contents)
            bundle.addfile(entry, io.BytesIO(contents))
    with pytest.raises(ArchiveError, match="leads out"):
        restore(tmp_path / "evil.tar", tmp_path / "x" / "archive.sqlite", tmp_path / "x" / "snapshots")


def test_an_older_archive_is_copied_before_it_is_migrated(tmp_path: Path) -> None:
    """What a newer tosmon changes can be had back as it was."""
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine

    path = tmp_path / "archive.sqlite"
    engine, config = create_engine(f"sqlite:///{path}"), Config()
    config.set_main_option("script_location", "tosmon.archive:migrations")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    engine.dispose()

    Archive(f"sqlite:///{path}").close()

    [copy] = tmp_path.glob("archive.sqlite.before-*")
    with sqlite3.connect(copy) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)


# --- from the command line ---------------------------------------------------------------------------------------------


def test_verify_backup_and_restore_as_commands(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`verify` says all is well, or names what is not and ends with 1; a backup is restored where nothing is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text("services: {}\narchive: archive.sqlite\n")
    assert cli.run(["verify"]) == 0
    assert "all as recorded" in capsys.readouterr().err
    assert cli.run(["backup", "b.tar"]) == 0
    assert cli.run(["restore", "b.tar"]) == 1, "an archive is there"
    capsys.readouterr()
    with sqlite3.connect(tmp_path / "archive.sqlite") as connection:
        connection.execute("UPDATE version SET chain = x'00' WHERE id = 2")

    assert cli.run(["verify"]) == 1
    assert "chain version 2" in capsys.readouterr().out


# --- the dead man's switch -----------------------------------------------------------------------------------------------


def test_the_heartbeat_stops_when_looks_are_late(archive: Archive) -> None:
    """The switch is called while documents are looked at in time, and not when one waits for more than an hour."""
    beats: list[int] = []
    due = archive.browse.pulse().next_due_at
    assert due is not None

    def beaten(at: datetime) -> bool:
        world = SimpleNamespace(archive=archive, clock=lambda: at)
        return beat(cast(Works, SimpleNamespace(world=world, heartbeat=lambda: beats.append(1))))

    assert beaten(due + timedelta(minutes=5))
    assert not beaten(due + timedelta(hours=2))
    assert beats == [1]
