"""Importing a history of texts from a real git repository: whole, told to nobody, once."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tosmon.archive import Archive
from tosmon.clauses import join
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
