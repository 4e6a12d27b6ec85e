"""Importing a history of texts from a real git repository: whole, told to nobody, once."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tosmon.archive import Archive
from tosmon.clauses import join
from tosmon.interop.git import GitError
from tosmon.interop.ota_versions import import_versions
from tosmon.judge import Rules, load_rules
from tosmon.model import ChangeState, TermsKey

KEY = TermsKey("Brush & Co", "Terms of Service")
START = datetime(2024, 1, 1, 12, tzinfo=UTC)
NOW = datetime(2026, 5, 3, tzinfo=UTC)
FIRST = "Terms\n=====\n\nYou keep the rights to your paintings.\n\nWe charge a fee of five crowns a month."
SECOND = FIRST.replace("five crowns", "nine crowns")


@pytest.fixture(scope="module")
def rules() -> Rules:
    return load_rules()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "versions"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    return folder


def git(folder: Path, *arguments: str, at: datetime = START) -> None:
    stamp = at.isoformat()
    names = {f"GIT_{who}_{what}": "bot" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    dates = {"GIT_AUTHOR_DATE": stamp, "GIT_COMMITTER_DATE": stamp}
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, env=os.environ | names | dates)


def record(folder: Path, text: str, day: int, subject: str = "Record new changes of it") -> None:
    path = folder / KEY.service / f"{KEY.type}.md"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode())
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", subject, at=START + timedelta(days=day))


def test_a_history_is_imported_whole_and_told_to_nobody(repository: Path, tmp_path: Path, rules: Rules) -> None:
    """Every text rebuilds, a real change is historic, a return and a technical upgrade are none, and no alert goes out."""
    texts = [FIRST, SECOND, FIRST, FIRST + "\n\nRead by a better extractor."]
    for day, text in enumerate(texts):
        record(repository, text, day, "Apply technical or declaration upgrade on it" if day == 3 else "Record it")
    archive = Archive(f"sqlite:///{tmp_path}/archive.sqlite")

    imported = import_versions(repository, archive, rules, NOW)

    versions = archive.browse.versions(KEY, newest_first=False)
    assert [join(archive.browse.clauses(version.id)) for version in versions] == texts
    assert [version.technical for version in versions] == [False, False, False, True]
    states = [change.state for change in archive.browse.changes(told_only=False)][::-1]
    assert states == [ChangeState.HISTORIC, ChangeState.SUPPRESSED]
    assert (imported.versions, imported.changes) == (4, 1)
    assert archive.browse.last_alert_id() == 0 and archive.outbox.counts() == {}
    archive.close()


def test_the_next_import_brings_only_what_is_new(repository: Path, tmp_path: Path, rules: Rules) -> None:
    """Importing twice adds nothing; a later pull goes on where the first one stopped."""
    record(repository, FIRST, 0)
    archive = Archive(f"sqlite:///{tmp_path}/archive.sqlite")
    import_versions(repository, archive, rules, NOW)
    again = import_versions(repository, archive, rules, NOW)
    record(repository, SECOND, 1)

    pulled = import_versions(repository, archive, rules, NOW)

    assert (again.versions, again.known_already, pulled.versions, pulled.known_already) == (0, 1, 1, 1)
    [change] = archive.browse.changes()
    assert change.state is ChangeState.HISTORIC
    since = archive.browse.since(change.after_id)
    assert [at.day for _, at in since] == [1, 1, 2]
    archive.close()


# --- repositories of strangers -----------------------------------------------------------------------------------------


def imported(repository: Path, home: Path, rules: Rules, ref: str | None = None) -> tuple[int, list[TermsKey]]:
    """How many versions an import into a new archive brings, and of which documents."""
    archive = Archive(f"sqlite:///{home}/archive.sqlite")
    try:
        done = import_versions(repository, archive, rules, NOW, ref=ref)
        return done.versions, [document.key for document in archive.browse.documents()]
    finally:
        archive.close()


def written(folder: Path, kind: str, contents: bytes) -> str:
    """The id of an object that git would not write by itself."""
    command = ["git", "-C", str(folder), "hash-object", "-w", "--literally", "-t", kind, "--stdin"]
    return subprocess.run(command, input=contents, capture_output=True, check=True).stdout.decode().strip()


def committed(
    folder: Path, *entries: tuple[str, str, str], message: str = "Record it", date: str = "1600000000 +0000"
) -> None:
    """Commit files of one service, given as mode, name and id, on main."""
    raw = b"".join(f"{mode} {name}\0".encode() + bytes.fromhex(one) for mode, name, one in entries)
    service = written(folder, "tree", raw)
    root = written(folder, "tree", b"40000 " + KEY.service.encode() + b"\0" + bytes.fromhex(service))
    who = f"bot <bot@example.org> {date}"
    commit = written(folder, "commit", f"tree {root}\nauthor {who}\ncommitter {who}\n\n{message}\n".encode())
    git(folder, "update-ref", "refs/heads/main", commit)


def test_a_repository_runs_no_program_of_its_own(repository: Path, tmp_path: Path, rules: Rules) -> None:
    """What its configuration names for signatures or for objects left elsewhere is not run."""
    record(repository, FIRST, 0)
    blob = subprocess.run(
        ["git", "-C", repository, "rev-parse", f"HEAD:{KEY.service}/{KEY.type}.md"], capture_output=True
    )
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran'\n")
    program.chmod(0o755)
    head = subprocess.run(["git", "-C", repository, "cat-file", "commit", "HEAD"], capture_output=True).stdout
    signed = head.replace(
        b"\n\n", b"\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\n", 1
    )
    git(repository, "update-ref", "refs/heads/main", written(repository, "commit", signed))
    for setting, value in (
        ("log.showSignature", "true"), ("gpg.program", program), ("core.fsmonitor", program),
        ("core.repositoryFormatVersion", "1"), ("extensions.partialClone", "origin"), ("remote.origin.url", repository),
        ("remote.origin.promisor", "true"), ("remote.origin.uploadpack", program),
    ):  # fmt: skip
        git(repository, "config", setting, str(value))
    assert imported(repository, tmp_path, rules)[0] == 1
    name = blob.stdout.decode().strip()
    (repository / ".git" / "objects" / name[:2] / name[2:]).unlink()

    with pytest.raises(GitError, match="missing"):
        imported(repository, repository / ".git", rules)

    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("as_bundle", [False, True])
def test_a_branch_is_no_option_of_git(repository: Path, tmp_path: Path, rules: Rules, as_bundle: bool) -> None:
    """A branch that is called like an option is read like any other."""
    record(repository, FIRST, 0)
    branch = f"--output={tmp_path}/overwritten"
    git(repository, "update-ref", f"refs/heads/{branch}", "HEAD")
    git(repository, "symbolic-ref", "HEAD", f"refs/heads/{branch}")
    git(repository, "update-ref", "-d", "refs/heads/main")
    git(repository, "bundle", "create", "--quiet", str(tmp_path / "bundle"), "--all")
    taken = tmp_path / "bundle" if as_bundle else repository

    assert imported(taken, tmp_path, rules)[0] == 1
    assert imported(taken, repository, rules, branch)[0] == 1
    with pytest.raises(GitError, match="no branch"):
        imported(taken, repository, rules, "--all")

    assert not (tmp_path / "overwritten").exists()


@pytest.mark.parametrize(
    ("versions", "message", "date"),
    [
        (1, "marks \x01 of \x02 ours \x03", "1600000000 +0000"),
        (1, "a zone that is none", "1600000000 +9999"),
        (0, "the year 3170843", "99999999999999 +0000"),
    ],
)
def test_odd_messages_and_dates_stop_no_import(
    repository: Path, tmp_path: Path, rules: Rules, versions: int, message: str, date: str
) -> None:
    """A commit with a date that we cannot keep is passed over, any other is read."""
    text = written(repository, "blob", FIRST.encode())
    committed(repository, ("100644", f"{KEY.type}.md", text), message=message, date=date)

    assert imported(repository, tmp_path, rules)[0] == versions


def test_only_files_under_names_that_can_be_kept_are_texts(repository: Path, tmp_path: Path, rules: Rules) -> None:
    """Links, other repositories, names that a configuration forbids and texts beyond all measure are passed over."""
    text, huge = written(repository, "blob", FIRST.encode()), written(repository, "blob", b"All yours. " * 2_000_000)
    committed(
        repository,
        ("100644", "...md", text),
        ("120000", "Link.md", written(repository, "blob", b"/etc/passwd")),
        ("100644", "Long.md", huge),
        ("160000", "Module.md", "1" * 40),
        ("100644", f"{KEY.type}.md", text),
        ("100644", "a\nb.md", text),
        ("100644", "\u202eevil.md", text),
    )

    assert imported(repository, tmp_path, rules) == (1, [KEY])
