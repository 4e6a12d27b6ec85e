"""Kill -9 at any moment: nothing is lost, nothing is damaged, nothing is sent twice that could have been helped."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))  # the same killing, two hundred times, is done by hand: benchmarks/kill.py

import kill  # noqa: E402

pytestmark = pytest.mark.kill


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> kill.Figures:
    """`tosmon check`, killed twenty times while pages change, then left in peace."""
    return kill.run(20, 7, tmp_path_factory.mktemp("kill"))


def test_no_alert_is_lost(figures: kill.Figures) -> None:
    """Every rule that was added to a page while checks were killed is told in one alert and came by mail."""
    assert figures.kills == 20
    assert figures.changes_made >= 20
    assert figures.lost == 0


def test_no_mail_is_doubled_but_where_nobody_can_know(figures: kill.Figures) -> None:
    """A mail comes twice only if its sender died before it could note the server's reply; then with one Message-ID."""
    assert figures.doubled_wrongly == 0
    assert figures.mails == figures.alerts + figures.doubled_with_the_same_message_id


def test_the_archive_is_sound(figures: kill.Figures) -> None:
    """The file passes its integrity check, every version rebuilds, digests, chain, spans and snapshots agree."""
    assert figures.damage == []
    assert figures.versions > figures.changes_made


def test_deaths_fell_into_all_parts_of_the_work(figures: kill.Figures) -> None:
    """Some died while looking, some with a mail in the server's hands."""
    assert figures.killed_while_looking > 0
    assert figures.killed_at_a_mail_before_its_reply + figures.killed_at_a_mail_after_its_reply > 0


def test_damage_would_be_seen(tmp_path: Path) -> None:
    """The accounting itself is no rubber stamp: a lost snapshot and a changed digest are found."""
    kill.run(0, 1, tmp_path)
    assert kill.damage_of(tmp_path) == []

    next((tmp_path / "snapshots").rglob("*.warc.gz")).unlink()
    connection = sqlite3.connect(tmp_path / "archive.sqlite")
    with connection:
        connection.execute("UPDATE version SET digest = zeroblob(32) WHERE id = 2")
    connection.close()

    found = " ".join(kill.damage_of(tmp_path))
    assert "snapshot" in found and "version 2 does not rebuild" in found and "chain breaks at version 2" in found
