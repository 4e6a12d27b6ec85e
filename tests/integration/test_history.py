"""Histories that come and go: imported, exported, verified, in real git repositories and real archives."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tosmon.archive import Archive, Snapshots, packing
from tosmon.archive.history import origin_from
from tosmon.archive.packing import unpack_ids, unpack_text
from tosmon.clauses import join
from tosmon.errors import TosmonError
from tosmon.interop.bundles import export_dataset, export_evidence
from tosmon.interop.names import file_name
from tosmon.interop.ota_export import export_git
from tosmon.interop.ota_snapshots import Reread, import_snapshots
from tosmon.interop.ota_versions import import_versions
from tosmon.interop.tables import csv_lines, every_change, harmless_cell, json_lines
from tosmon.judge import Rules, load_rules
from tosmon.model import ChangeState, Form, SourceDocument, Terms, TermsKey

ROOT = Path(__file__).parents[2]
START = datetime(2024, 1, 1, 12, tzinfo=UTC)
NOW = datetime(2026, 5, 3, tzinfo=UTC)
BOT = "Open Terms Archive Bot <bot@opentermsarchive.org>"
TERMS = TermsKey("Brush & Co", "Terms of Service")
PRIVACY = TermsKey("Ink — well", "Privacy Policy")


@pytest.fixture(scope="module")
def rules() -> Rules:
    return load_rules()


def text_of(number: int, clauses: int = 30) -> str:
    """Terms in which one clause differs from number to number."""
    lines = [f"{place}. We look after painting {place} as if it were our own, for a fee of five crowns." for place in
             range(clauses)]  # fmt: skip
    if number:
        lines[number % clauses] = (
            f"{number % clauses}. We may use your content to train our AI models, in version {number} too."
        )
    return "Terms\n=====\n\n" + "\n\n".join(lines)


def write_repository(folder: Path, versions: int, *, first: int = 0, key: TermsKey = TERMS) -> None:
    """Commit texts as Open Terms Archive does; every fifth is a technical upgrade, every seventh an earlier text."""
    if not folder.exists():
        subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(folder)], check=True)
    out = []
    for number in range(first, first + versions):
        verb = "First record of" if number == 0 else "Record new changes of"
        verb = "Apply technical or declaration upgrade on" if number % 5 == 4 else verb
        text = text_of(number - 3 if number % 7 == 6 else number).encode()
        recorded = f"This version was recorded after extracting from snapshot {number:040x}"
        words = f"{verb} {key}\n\n{recorded}\n\nX-engine-version: 9\n"
        at = int((START + timedelta(days=number)).timestamp())
        who = f"{BOT} {at} {'+0200' if number % 2 else '+0000'}"
        parent = "from refs/heads/main^0\n" if number == first and first else ""
        out.append(
            f"commit refs/heads/main\nauthor {who}\ncommitter {who}\ndata {len(words.encode())}\n{words}\n{parent}"
            f'M 100644 inline "{key.service}/{key.type}.md"\ndata {len(text)}\n'.encode()
            + text
            + b"\n"
        )
    subprocess.run(["git", "-C", str(folder), "fast-import", "--quiet"], input=b"".join(out), check=True)


def archive_at(path: Path) -> Archive:
    return Archive(f"sqlite:///{path}/archive.sqlite")


def log_of(folder: Path, ref: str = "main") -> list[str]:
    shown = subprocess.run(
        ["git", "-C", str(folder), "log", "--reverse", "--raw", "--no-abbrev", "--format=%an <%ae> %ai%n%B", ref],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    return shown.stdout.splitlines()


# --- import ------------------------------------------------------------------------------------------------------------


def test_workers_bring_what_one_process_brings(tmp_path: Path, rules: Rules) -> None:
    """Two processes import the same versions and changes as one, with one unbroken chain."""
    repository = tmp_path / "versions.git"
    write_repository(repository, 100)
    write_repository(repository, 90, first=100, key=PRIVACY)
    alone, together = tmp_path / "alone", tmp_path / "together"
    alone.mkdir()
    together.mkdir()
    one, two = archive_at(alone), archive_at(together)

    imported = [import_versions(repository, one, rules, NOW), import_versions(repository, two, rules, NOW, workers=2)]

    assert imported[0] == imported[1] and imported[0].versions == 190
    for key in (TERMS, PRIVACY):
        texts = [[join(a.browse.clauses(v.id)) for v in a.browse.versions(key)] for a in (one, two)]
        assert texts[0] == texts[1]
    told = [
        [(c.key, c.at, c.state, c.headline) for c in a.browse.changes(told_only=False, limit=500)] for a in (one, two)
    ]
    assert sorted(told[0]) == sorted(told[1])
    for archive in (one, two):
        assert archive.verify(None).faults == []
        archive.close()


def test_a_killed_import_goes_on_where_it_stopped(tmp_path: Path, rules: Rules) -> None:
    """kill -9 in the midst of an import: the archive is whole, and the same command brings the rest, each text once."""
    repository = tmp_path / "versions.git"
    write_repository(repository, 900)
    (tmp_path / "config.yaml").write_text("services: {}\n")
    command = [sys.executable, "-m", "tosmon", "import", "ota-versions", str(repository), "--workers", "2"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TOSMON_")}
    environment = clean | {"PYTHONPATH": str(ROOT), "TOSMON_CONFIG": str(tmp_path / "config.yaml")}
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL, start_new_session=True
    )
    wait_for_versions(tmp_path / "archive.sqlite", process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    archive = archive_at(tmp_path)
    before = archive.browse.counts()["versions"]
    assert 0 < before < 900
    assert archive.verify(None).faults == []
    archive.close()

    ended = subprocess.run([*command, "--json"], cwd=tmp_path, env=environment, check=True, capture_output=True)

    assert json.loads(ended.stdout)["versions"] == 900 - before
    archive = archive_at(tmp_path)
    texts = [join(archive.browse.clauses(v.id)) for v in archive.browse.versions(TERMS, newest_first=False)]
    assert texts == [text_of(n - 3 if n % 7 == 6 else n) for n in range(900)]
    assert archive.verify(None).faults == []
    assert archive.browse.last_alert_id() == 0
    archive.close()


def wait_for_versions(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Until the import has written something; a busy wait on its database, for it says nothing in a pipe."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
                if connection.execute("SELECT count(*) FROM version").fetchone()[0]:
                    return
        except sqlite3.Error:
            pass
        select_a_little()
    raise AssertionError(f"the import wrote nothing; it ended with {process.poll()}")


def select_a_little() -> None:
    """Give way for a moment."""
    import select

    select.select([], [], [], 0.02)


def test_snapshot_references_and_authors_are_kept(tmp_path: Path, rules: Rules) -> None:
    """Who recorded a version, when by their clock, and from which snapshot, stays with it."""
    write_repository(tmp_path / "versions.git", 3)
    archive = archive_at(tmp_path)
    import_versions(tmp_path / "versions.git", archive, rules, NOW)

    versions = archive.browse.versions(TERMS, newest_first=False)
    origins = archive.history.origins(TERMS)

    assert origins[versions[1].id].author == BOT
    assert origins[versions[1].id].date == "2024-01-02T14:00:00+02:00"
    assert f"snapshot {1:040x}" in origins[versions[1].id].message
    archive.close()


# --- export ------------------------------------------------------------------------------------------------------------


def test_an_exported_history_is_the_imported_one(tmp_path: Path, rules: Rules) -> None:
    """Blobs, paths, authors, dates and messages come out as they went in; importing that again brings nothing."""
    repository, exported = tmp_path / "versions.git", tmp_path / "exported.git"
    write_repository(repository, 20)
    write_repository(repository, 6, first=20, key=PRIVACY)
    archive = archive_at(tmp_path)
    import_versions(repository, archive, rules, NOW)

    export_git(archive, exported)

    assert log_of(exported) == log_of(repository)
    assert import_versions(exported, archive, rules, NOW).versions == 0
    assert export_git(archive, exported).versions == 0
    archive.close()


def test_the_next_export_adds_what_is_new(tmp_path: Path, rules: Rules) -> None:
    """An export goes on from the commits that are there, also into a working tree."""
    repository, exported = tmp_path / "versions.git", tmp_path / "exported"
    write_repository(repository, 5)
    archive = archive_at(tmp_path)
    import_versions(repository, archive, rules, NOW)
    export_git(archive, exported)
    write_repository(repository, 2, first=5)
    import_versions(repository, archive, rules, NOW)

    done = export_git(archive, exported)

    assert (done.versions, done.there_already) == (2, 5)
    assert log_of(exported) == log_of(repository)
    assert (exported / TERMS.service / f"{TERMS.type}.md").read_text() == text_of(3)
    archive.close()


def test_an_export_leaves_other_folders_alone(tmp_path: Path) -> None:
    """A folder that holds something else is never taken for a repository."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.txt").write_text("meow")
    archive = archive_at(tmp_path)

    with pytest.raises(TosmonError, match="neither empty nor a git repository"):
        export_git(archive, tmp_path / "photos")
    archive.close()


def test_an_export_leaves_repositories_of_others_alone(tmp_path: Path, rules: Rules) -> None:
    """What no export began, what names programs to run and what holds work that is in no commit is not written to."""
    source, folder = tmp_path / "versions.git", tmp_path / "exported"
    write_repository(source, 2)
    archive = archive_at(tmp_path)
    import_versions(source, archive, rules, NOW)
    with pytest.raises(TosmonError, match="no export began"):
        export_git(archive, source)
    export_git(archive, folder)
    write_repository(source, 1, first=2)
    import_versions(source, archive, rules, NOW)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(TosmonError, match="in no commit"):
        export_git(archive, folder)
    (folder / "notes.txt").unlink()
    subprocess.run(["git", "-C", str(folder), "config", "filter.x.smudge", "touch ran"], check=True)

    with pytest.raises(TosmonError, match=r"filter\.x\.smudge"):
        export_git(archive, folder)

    subprocess.run(["git", "-C", str(folder), "config", "--unset", "filter.x.smudge"], check=True)
    assert export_git(archive, folder).versions == 1
    archive.close()


@pytest.mark.parametrize("name", ["../up", "..", ".git", "a/b", "C:\\x", "nul\0", ".hidden", "GIT~1", "", "a" * 500])
def test_no_name_leads_out_of_its_folder(name: str) -> None:
    """Whatever a service is called, its file lies in its folder and is nothing of git's own."""
    safe = file_name(name)

    assert "/" not in safe and "\\" not in safe and "\0" not in safe
    assert safe not in ("", ".", "..") and not safe.startswith(".") and safe.lower() not in ("git", "git~1")
    assert len(safe) < 200


def test_a_dataset_has_every_version_and_its_metadata(tmp_path: Path, rules: Rules) -> None:
    """The zip names files by service, type and time, and tells the digest of each."""
    write_repository(tmp_path / "versions.git", 4)
    archive = archive_at(tmp_path)
    import_versions(tmp_path / "versions.git", archive, rules, NOW)

    export_dataset(archive, tmp_path / "data.zip")
    first = (tmp_path / "data.zip").read_bytes()
    export_dataset(archive, tmp_path / "data.zip")

    assert (tmp_path / "data.zip").read_bytes() == first
    with zipfile.ZipFile(tmp_path / "data.zip") as bundle:
        facts = [json.loads(line) for line in bundle.read("metadata.jsonl").splitlines()]
        assert facts[0]["file"] == "Brush & Co/Terms of Service/2024-01-01T12-00-00Z.md"
        assert all(hashlib.sha256(bundle.read(one["file"])).hexdigest() == one["sha256"] for one in facts)
    archive.close()


def test_tables_hold_every_change_and_no_formula(tmp_path: Path, rules: Rules) -> None:
    """CSV and JSON lines tell of the same changes; a cell that a spreadsheet would run is disarmed."""
    write_repository(tmp_path / "versions.git", 12)
    archive = archive_at(tmp_path)
    import_versions(tmp_path / "versions.git", archive, rules, NOW)

    rows = list(csv.DictReader(io.StringIO("".join(csv_lines(every_change(archive, told_only=False))))))
    objects = [json.loads(line) for line in json_lines(every_change(archive, told_only=False))]

    assert {row["change"] for row in rows} == {str(one["change"]) for one in objects}
    assert any(row["topic"] == "ai_training" and "train our AI models" in row["quotes_after"] for row in rows)
    assert [harmless_cell(text)[0] for text in ("=1+1", "+1", "-1", "@x", "\t=1", "  =1", "＝1")] == ["'"] * 7
    assert harmless_cell("we = you") == "we = you"
    hidden = ("a;=cmd|' /C calc'!A0", "a\t@x", "a\n+1", 'a;"=1"', "\ufeff=1+1", "\u200b=1", "\u2060\u00ad-1")
    assert [harmless_cell(text).count("'") - text.count("'") for text in hidden] == [1] * 7
    archive.close()


def test_evidence_of_a_change_can_be_checked(tmp_path: Path, rules: Rules) -> None:
    """The bundle has both texts, hashes that fit, a cover that escapes strangers' words, and says what is missing."""
    write_repository(tmp_path / "versions.git", 3)
    archive = archive_at(tmp_path)
    import_versions(tmp_path / "versions.git", archive, rules, NOW)
    change = archive.browse.changes()[0]

    missing = export_evidence(archive, change.id, tmp_path / "snapshots", tmp_path / "e.zip", NOW)

    assert len(missing) == 2 and "recorded by Open Terms Archive" in missing[0]
    with zipfile.ZipFile(tmp_path / "e.zip") as bundle:
        for line in bundle.read("SHA256SUMS").decode().splitlines():
            sha, name = line.split("  ", 1)
            assert hashlib.sha256(bundle.read(name)).hexdigest() == sha
        cover = bundle.read("cover.html").decode()
        assert bundle.read("before.md").decode() == join(archive.browse.clauses(change.before_id))
    assert "Brush &amp; Co" in cover and "<script" not in cover
    with pytest.raises(TosmonError, match="no change 999"):
        export_evidence(archive, 999, tmp_path, tmp_path / "e.zip", NOW)
    archive.close()


# --- verify ------------------------------------------------------------------------------------------------------------

_DIGESTED = {
    "clause": ("text", "digest", "canonical"),
    "version": ("clauses", "digest", "canonical_digest", "chain"),
    "origin": ("body",),
}


def test_every_flipped_bit_is_found_and_named(tmp_path: Path, rules: Rules) -> None:
    """One bit of any stored text, list or digest is altered, many times over: each time verify names it.

    But for bits that say nothing (of what zstd leaves unused): then what is read is what was stored.
    """
    write_repository(tmp_path / "versions.git", 40)
    archive = archive_at(tmp_path)
    import_versions(tmp_path / "versions.git", archive, rules, NOW)
    assert archive.verify(None).faults == []
    archive.close()
    connection = sqlite3.connect(tmp_path / "archive.sqlite", isolation_level=None)
    chance = random.Random(3)
    for table, columns in _DIGESTED.items():
        key = "version_id" if table == "origin" else "id"
        ids = [row[0] for row in connection.execute(f"SELECT {key} FROM {table}")]
        for column in columns * 4:
            row_id = chance.choice(ids)
            [blob] = connection.execute(f"SELECT {column} FROM {table} WHERE {key} = ?", (row_id,)).fetchone()
            bit = chance.randrange(len(blob) * 8)
            broken = bytearray(blob)
            broken[bit // 8] ^= 1 << bit % 8
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (bytes(broken), row_id))

            damaged = archive_at(tmp_path)
            faults = damaged.verify(None).faults
            damaged.close()

            named = any(str(row_id) in fault.name for fault in faults)
            assert named or reads_the_same(table, column, blob, bytes(broken)), (table, column, row_id, bit)
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (blob, row_id))
    connection.close()


def reads_the_same(table: str, column: str, blob: bytes, broken: bytes) -> bool:
    if column == "clauses":
        return unpack_ids(broken) == unpack_ids(blob)
    if column == "body":
        return origin_from(broken) == origin_from(blob)
    if column == "text" and packing.base_of(blob) is None:
        return unpack_text(broken) == unpack_text(blob)
    return column == "text" and packing.base_of(broken) == packing.base_of(blob)  # verify found the digest to fit


def test_a_version_that_was_slipped_out_breaks_the_chain(tmp_path: Path, rules: Rules) -> None:
    """Leaving a version out, however neatly, shows in the chain."""
    write_repository(tmp_path / "versions.git", 6)
    archive = archive_at(tmp_path)
    import_versions(tmp_path / "versions.git", archive, rules, NOW)
    archive.close()
    with sqlite3.connect(tmp_path / "archive.sqlite") as connection:
        for table, column in (
            ("change", "before_id"),
            ("change", "after_id"),
            ("origin", "version_id"),
            ("version", "id"),
        ):
            connection.execute(f"DELETE FROM {table} WHERE {column} = 3")
    archive = archive_at(tmp_path)

    kinds = {fault.kind for fault in archive.verify(None).faults}

    assert "chain" in kinds
    archive.close()


# --- recorded pages ------------------------------------------------------------------------------------------------------


def write_pages(folder: Path, pages: list[str]) -> None:
    """Commit recorded pages as Open Terms Archive does, a day apart."""
    if not folder.exists():
        subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(folder)], check=True)
    head = subprocess.run(["git", "-C", str(folder), "rev-list", "--count", "--all"], capture_output=True, check=True)
    first, out = int(head.stdout), []
    for number, page in enumerate(pages, first):
        words = (
            f"Record new changes of {TERMS}\n\nX-engine-version: 9\nX-fetcher: htmlOnly\n"
            "X-source-document-location: https://brush.example/terms\n"
        )
        who = f"{BOT} {int((START + timedelta(days=number)).timestamp())} +0000"
        parent = "from refs/heads/main^0\n" if number == first and first else ""
        out.append(
            f"commit refs/heads/main\nauthor {who}\ncommitter {who}\ndata {len(words.encode())}\n{words}\n{parent}"
            f'M 100644 inline "{TERMS.service}/{TERMS.type}.html"\ndata {len(page.encode())}\n{page}\n'.encode()
        )
    subprocess.run(["git", "-C", str(folder), "fast-import", "--quiet"], input=b"".join(out), check=True)


def page_of(number: int) -> str:
    clauses = "".join(f"<p>{line}</p>" for line in text_of(number).split("\n\n")[1:])
    return f"<html lang=en><title>Terms</title><body><nav>Home</nav><main><h1>Terms</h1>{clauses}</main></body></html>"


def test_a_recorded_page_beyond_all_measure_is_a_failed_look(tmp_path: Path, rules: Rules) -> None:
    """A page of more than 20 MB is never held in memory; the import goes on with the next one."""
    repository = tmp_path / "snapshots.git"
    write_pages(repository, [page_of(0), page_of(2) + f"<!--{'x' * 20_000_000}-->", page_of(1)])
    declared = [Terms(TERMS, "Brush & Co", Form((SourceDocument("https://brush.example/terms", ("main",)),)))]
    archive, kept = archive_at(tmp_path), Snapshots(tmp_path / "snapshots")
    identity = archive.identity("example.org", NOW.date())

    done = import_snapshots(repository, declared, archive, kept, rules, identity, NOW)

    assert (done.versions, done.failures) == (2, 1)
    archive.close()


def test_recorded_pages_are_read_anew_and_told_to_nobody(tmp_path: Path, rules: Rules) -> None:
    """Pages become versions, changes, incidents and WARC files as of their day; a second import brings nothing."""
    repository = tmp_path / "snapshots.git"
    write_pages(repository, [page_of(0), page_of(1), "<html><body><h1>Sign in</h1></body></html>", page_of(2)])
    form = Form((SourceDocument("https://brush.example/terms", ("main",)),))
    declared = [Terms(TERMS, "Brush & Co", form)]
    archive, kept = archive_at(tmp_path), Snapshots(tmp_path / "snapshots")
    identity = archive.identity("example.org", NOW.date())

    def read() -> Reread:
        return import_snapshots(repository, declared, archive, kept, rules, identity, NOW)

    first, again = read(), read()
    write_pages(repository, [page_of(3)])
    pulled = read()

    assert (first.pages, first.failures, again.pages, again.known_already) == (4, 1, 0, 4)
    assert (pulled.pages, pulled.versions) == (1, 1)
    versions = archive.browse.versions(TERMS, newest_first=False)
    assert [version.at.day for version in versions] == [1, 2, 4, 5]
    assert {change.state for change in archive.browse.changes(told_only=False)} == {ChangeState.HISTORIC}
    assert archive.browse.last_alert_id() == 0 and archive.outbox.counts() == {}
    evidence = archive.browse.evidence(versions[1].id)
    assert kept.read(evidence[0]["path"])[0].final_url == "https://brush.example/terms"
    found = archive.verify(kept.folder)
    assert (found.faults, found.snapshots > 0) == ([], True)
    archive.close()


def test_a_damaged_or_missing_page_is_named(tmp_path: Path, rules: Rules) -> None:
    """A flipped bit in any WARC file is found, and so is a file that is gone."""
    write_pages(tmp_path / "snapshots.git", [page_of(0), page_of(1)])
    form = Form((SourceDocument("https://brush.example/terms", ("main",)),))
    archive, kept = archive_at(tmp_path), Snapshots(tmp_path / "snapshots")
    identity = archive.identity("example.org", NOW.date())
    import_snapshots(
        tmp_path / "snapshots.git", [Terms(TERMS, "Brush & Co", form)], archive, kept, rules, identity, NOW
    )  # fmt: skip
    chance = random.Random(5)
    files = sorted(kept.folder.rglob("*.warc.gz"))
    for _ in range(10):
        path = chance.choice(files)
        whole = path.read_bytes()
        broken = bytearray(whole)
        bit = chance.randrange(len(broken) * 8)
        broken[bit // 8] ^= 1 << bit % 8
        path.write_bytes(broken)
        [fault] = archive.verify(kept.folder).faults
        assert (fault.kind, kept.folder / fault.name) == ("snapshot", path)
        path.write_bytes(whole)
    files[0].unlink()

    assert [fault.kind for fault in archive.verify(kept.folder).faults] == ["snapshot"]
    archive.close()
