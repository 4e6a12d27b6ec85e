"""Keeping an archive for years: other names, backups, migrations, verification from the command line."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sqlite3
import stat
import subprocess
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
from tosmon.archive.backup import back_up, copy_database, restore
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
    for path in (
        "//evil.example/services/Old",
        "///services/Old",
        "/./services/Old",
        "/../services/Old",
        "/services/Old/",
    ):
        assert moved_to(path, former) is None
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


def bundle_of(path: Path, *files: tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w") as bundle:
        for name, contents in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(contents)
            bundle.addfile(entry, io.BytesIO(contents))
    return path


@pytest.mark.parametrize(
    "manifest", [b"[]", b"null", b'{"sha256": []}', b'{"sha256": {"archive.sqlite": 5}}', b"[" * 99_999]
)
def test_a_manifest_of_another_shape_is_refused(tmp_path: Path, manifest: bytes) -> None:
    """Whatever stands in the place of the hashes is told, not tripped over."""
    made = bundle_of(tmp_path / "b.tar", ("archive.sqlite", b"x"), ("MANIFEST.json", manifest))

    with pytest.raises(ArchiveError, match="no manifest"):
        restore(made, tmp_path / "archive.sqlite", tmp_path / "snapshots")


def test_a_refused_backup_replaces_no_evidence(tmp_path: Path) -> None:
    """Pages that are there stay, whether the backup is damaged elsewhere or just holds other ones by the same names."""
    kept = tmp_path / "snapshots" / "kept.warc.gz"
    kept.parent.mkdir()
    kept.write_bytes(b"as received")
    for digest in ("0" * 64, hashlib.sha256(b"database").hexdigest()):
        known = {"snapshots/kept.warc.gz": hashlib.sha256(b"other").hexdigest(), "archive.sqlite": digest}
        files = ("snapshots/kept.warc.gz", b"other"), ("archive.sqlite", b"database")
        made = bundle_of(tmp_path / "b.tar", *files, ("MANIFEST.json", json.dumps({"sha256": known}).encode()))

        with pytest.raises(ArchiveError):
            restore(made, tmp_path / "archive.sqlite", tmp_path / "snapshots")

        assert kept.read_bytes() == b"as received"
        assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["b.tar", "kept.warc.gz"]


def test_a_sparse_backup_is_refused(tmp_path: Path) -> None:
    """A small file that says to be a large one is not unpacked."""
    (tmp_path / "archive.sqlite").touch()
    os.truncate(tmp_path / "archive.sqlite", 50_000_000)
    (tmp_path / "MANIFEST.json").write_text('{"sha256": {"archive.sqlite": "0"}}')
    names = ["archive.sqlite", "MANIFEST.json"]
    subprocess.run(["tar", "--format=gnu", "-S", "-cf", "b.tar", *names], check=True, cwd=tmp_path)
    assert (tmp_path / "b.tar").stat().st_size < 100_000

    with pytest.raises(ArchiveError, match="is no file"):
        restore(tmp_path / "b.tar", tmp_path / "new" / "archive.sqlite", tmp_path / "new" / "snapshots")


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


def test_what_holds_addresses_is_for_its_owner_alone(archive: Archive, tmp_path: Path) -> None:
    """The database, the files beside it, its copies and what comes out of a backup can be read by nobody else."""
    database, back = tmp_path / "archive.sqlite", tmp_path / "back" / "archive.sqlite"
    back_up(database, tmp_path / "snapshots", tmp_path / "b.tar")
    restore(tmp_path / "b.tar", back, tmp_path / "back" / "snapshots")
    copy_database(database, tmp_path / "copy.sqlite")
    files = [*tmp_path.glob("*.sqlite*"), back, tmp_path / "b.tar"]

    assert {f"{database.name}-wal", f"{database.name}-shm", "copy.sqlite"} <= {file.name for file in files}
    assert {stat.filemode(file.stat().st_mode) for file in files} == {"-rw-------"}


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
    assert cli.run(["backup", "b.tar"]) == 1, "a backup is there"
    assert "b.tar is there already" in capsys.readouterr().err
    assert cli.run(["backup", "b.tar", "--force"]) == 0
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


# --- what goes -------------------------------------------------------------------------------------------------------


def test_prune_takes_only_what_nothing_rests_on(archive: Archive, tmp_path: Path) -> None:
    """Old unchanged looks and pages of closed incidents go; versions keep their evidence, documents their last look."""
    with sqlite3.connect(tmp_path / "archive.sqlite") as connection:
        rests = connection.execute(
            'SELECT count(*) FROM snapshot JOIN "check" c ON c.id = check_id WHERE c.version_id IS NOT NULL'
        ).fetchone()
        documents = connection.execute('SELECT count(DISTINCT terms_id) FROM "check"').fetchone()
        day = "'2025-11-01T00:00:00.000000Z'"
        for verdict, outcome in (("blocked", "failed"), ("ok", "unchanged"), ("ok", "unchanged")):
            connection.execute(
                'INSERT INTO "check" (terms_id, at, seconds, verdict, outcome, detail)'
                f" SELECT id, {day}, 0, '{verdict}', '{outcome}', '' FROM terms"
            )
        connection.execute(
            "INSERT INTO snapshot (terms_id, check_id, at, path, sha256, bytes, urls, body_sha256)"
            f" SELECT terms_id, id, {day}, 'old-' || terms_id, '', 3, '[]', '[]' FROM \"check\""
            f" WHERE verdict = 'blocked' AND at = {day}"
        )
        [blind] = connection.execute("SELECT terms_id FROM incident WHERE closed_at IS NULL LIMIT 1").fetchone()
        connection.execute(f"UPDATE incident SET opened_at = {day} WHERE terms_id = {blind}")
        whole = hashlib.sha256(b"old").hexdigest()
        connection.execute("UPDATE snapshot SET sha256 = ? WHERE path LIKE 'old-%'", (whole,))
        everywhere = [path for (path,) in connection.execute("SELECT path FROM snapshot WHERE path LIKE 'old-%'")]
    for path in everywhere:
        (tmp_path / "snapshots" / path).write_bytes(b"old")
    later = story.NOW + timedelta(days=1000)

    would = archive.prune(tmp_path / "snapshots", later, later, dry_run=True)
    assert archive.prune(tmp_path / "snapshots", later, later) == would
    assert archive.prune(tmp_path / "snapshots", later, later).checks == 0, "done once"

    with sqlite3.connect(tmp_path / "archive.sqlite") as connection:
        assert (
            rests
            == connection.execute(
                'SELECT count(*) FROM snapshot JOIN "check" c ON c.id = check_id WHERE c.version_id IS NOT NULL'
            ).fetchone()
        )
        assert documents == connection.execute('SELECT count(DISTINCT terms_id) FROM "check"').fetchone()
        kept = connection.execute("SELECT path FROM snapshot WHERE path LIKE 'old-%'").fetchall()
    assert would.checks >= len(everywhere) and would.snapshots >= len(everywhere) - 1
    assert kept == [(f"old-{blind}",)], "the incident is open"
    assert [path for path in everywhere if (tmp_path / "snapshots" / path).exists()] == [f"old-{blind}"]
    assert archive.verify(tmp_path / "snapshots").faults == []


def test_a_withdrawn_text_leaves_a_tombstone_and_nothing_else(archive: Archive, tmp_path: Path) -> None:
    """Its words are in no version, alert, flag, search or file any more; digests and the chain still hold."""
    change = next(one for one in archive.browse.changes() if one.flags and one.flags[0].before)
    words = change.flags[0].before[0].text
    ids = archive.clauses_to_withdraw(change.key, words, None)
    assert ids
    assert any(words in join(archive.browse.clauses(one.id)) for one in archive.browse.versions(change.key))
    with pytest.raises(ArchiveError, match="tracked"):
        stands = archive.browse.clauses(archive.browse.versions(change.key)[0].id)
        archive.withdraw(
            archive.clauses_to_withdraw(change.key, stands[-1].text, None), "asked", story.NOW, tmp_path / "snapshots"
        )

    would = archive.withdraw(ids, "a court", story.NOW, tmp_path / "snapshots", dry_run=True)
    gone = archive.withdraw(ids, "a court", story.NOW, tmp_path / "snapshots")

    assert gone == would and gone.versions and gone.alerts
    for one in archive.browse.versions(change.key):
        assert words not in join(archive.browse.clauses(one.id))
    shown = join(archive.browse.clauses(change.before_id))
    assert "[Withdrawn on 2026-11-03: a court]" in shown
    told = archive.browse.alerts(feeds(change.key.service, None))
    assert told and all(words not in repr(alert) for alert in told)
    found = archive.verify(tmp_path / "snapshots")
    assert found.faults == [] and found.withdrawn == len(ids)
    with serving(app(archive, WebSettings())) as base:
        page = requests.get(f"{base}/changes/{change.id}", timeout=30)
        assert page.status_code == 200 and words not in page.text and "Withdrawn on 2026-11-03" in page.text
        search = requests.get(f"{base}/api/v1/search", params={"q": f'"{words[:60]}"'}, timeout=30)
        assert words not in search.text
    archive.close()
    for file in (path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".gz"):
        assert words.encode() not in file.read_bytes(), file.name


def test_prune_and_withdraw_as_commands(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both say first what they would do; which text is meant has to be said in one way."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text("services: {}\narchive: archive.sqlite\n")
    assert cli.run(["prune", "--dry-run", "--checks", "1"]) == 0
    assert "Would delete" in capsys.readouterr().err
    assert cli.run(["prune", "--json"]) == 0
    assert '"checks"' in capsys.readouterr().out
    service, type_ = story.INKWELL.service, story.INKWELL.type
    assert cli.run(["withdraw-text", service, type_, "--reason", "asked"]) == 2
    assert cli.run(["withdraw-text", service, type_, "--reason", "asked", "--containing", "no such words"]) == 1
    capsys.readouterr()
    first = archive.browse.versions(story.INKWELL)[-1].id
    assert cli.run(["withdraw-text", service, type_, "--reason", "asked", "--version", str(first), "--dry-run"]) == 0
    assert "Would withdraw" in capsys.readouterr().err
