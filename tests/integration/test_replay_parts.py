"""The replay of recorded pages, for documents that are made of several: each part by its own name, joined in order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tosmon.archive import Archive
from tosmon.clauses import join
from tosmon.model import TermsKey

ROOT = Path(__file__).parents[2]
START = datetime(2024, 1, 1, 12, tzinfo=UTC)
KEY = TermsKey("Murmur", "Community Guidelines")
URL = "https://murmur.example/rules"
RULES = "".join(f"<p>Rule {number}: be kind to the others, whatever they say.</p>" for number in range(30))
ART = "".join(f"<p>Art {number}: what you paint stays yours, and we may show it.</p>" for number in range(30))
FEE = "<p>Selling: we take a fee of five crowns for each painting that you sell on this service.</p>"


def git(folder: Path, *arguments: str, at: datetime = START) -> None:
    names = {f"GIT_{who}_{what}": "bot" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    dates = {"GIT_AUTHOR_DATE": at.isoformat(), "GIT_COMMITTER_DATE": at.isoformat()}
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, env=os.environ | names | dates)


def record(folder: Path, part: str, body: str, at: datetime, *, url: str = "") -> None:
    path = folder / KEY.service / f"{KEY.type}{f' #{part}' if part else ''}.html"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"<!doctype html><html><body><main>{body}</main></body></html>", encoding="utf-8")
    message = "Record new changes" + (f"\n\nX-source-document-location: {url}" if url else "")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", message, at=at)


def played(folder: Path, tmp_path: Path) -> list[str]:
    """The texts of the versions that a replay made, oldest first."""
    declared = tmp_path / "declarations"
    declared.mkdir()
    parts = [{"fetch": URL}, {"fetch": f"{URL}/art"}]
    terms = {KEY.type: {"combine": parts, "select": "main"}}
    (declared / "Murmur.json").write_text(json.dumps({"name": "Murmur", "terms": terms}), encoding="utf-8")
    command = [sys.executable, str(ROOT / "benchmarks/replay.py"), "--bundle", str(folder), "--collection", "x"]
    more = [
        "--declarations",
        str(declared),
        "--out",
        str(tmp_path / "out.jsonl"),
        "--archive",
        str(tmp_path / "archive"),
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([*command, *more], check=True, env=environment, capture_output=True)
    archive = Archive(f"sqlite:///{tmp_path}/archive/archive.sqlite")
    try:
        versions = archive.browse.versions(KEY, newest_first=False)
        return [join(archive.browse.clauses(version.id)) for version in versions]
    finally:
        archive.close()


def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "snapshots"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    return folder


def test_parts_are_joined_and_a_change_of_one_is_a_change_of_the_document(tmp_path: Path) -> None:
    """Parts are known by where they came from, or by their name; the one that did not change stays as it was."""
    folder = repository(tmp_path)
    record(folder, "rules", RULES, START, url=URL)
    record(folder, "rules-art", ART, START + timedelta(seconds=5))
    record(folder, "rules-art", ART + FEE, START + timedelta(days=3))
    record(folder, "rules", RULES + " ", START + timedelta(days=3, seconds=5), url=URL)

    first, second = played(folder, tmp_path)

    assert first.startswith("Rule 0:")
    assert "\n\n- - -\n\nArt 0:" in first
    assert second.endswith("that you sell on this service.")
    assert second.startswith("Rule 0:")


def test_a_page_recorded_before_it_became_several_is_read(tmp_path: Path) -> None:
    """The date from which a declaration combines pages is a hint, no more: one page is read as one."""
    folder = repository(tmp_path)
    record(folder, "", RULES + ART, START)

    (text,) = played(folder, tmp_path)

    assert text.startswith("Rule 0:")
    assert "Art 29" in text
