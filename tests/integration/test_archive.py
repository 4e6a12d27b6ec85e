"""The archive on a real SQLite file: versions rebuild, spans tell since when, one transaction or nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from tosmon.archive import Archive, Envelope, LeaseLost, NewChange, Recording, Settled, Standing, search
from tosmon.archive.packing import pack_ids, pack_text, unpack_ids, unpack_text
from tosmon.archive.schema import metadata
from tosmon.clauses import canonical_digest, join, split
from tosmon.compare import compare
from tosmon.errors import ArchiveError
from tosmon.model import (
    Addressee,
    Alert,
    AlertKind,
    ChangeState,
    Form,
    Judgement,
    NotificationState,
    Outcome,
    Severity,
    SourceDocument,
    Terms,
    TermsKey,
    Verdict,
    Version,
)

NOW = datetime(2026, 5, 3, 12, 30, 20, tzinfo=UTC)
KEY = TermsKey("Brushwork", "Terms of Service")
LEASE = timedelta(minutes=5)


def terms(key: TermsKey = KEY) -> Terms:
    return Terms(key, key.service, Form((SourceDocument("https://brushwork.example/terms"),)))


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = Archive(f"sqlite:///{tmp_path}/archive.sqlite")
    opened.declare([terms()], NOW)
    yield opened
    opened.close()


def version(markdown: str, at: datetime = NOW) -> Version:
    clauses = split(markdown)
    return Version(clauses, at, b"d" * 32, canonical_digest(clauses), len(markdown.split()))


def recording(standing: Standing, markdown: str, at: datetime = NOW, change: NewChange | None = None) -> Recording:
    return Recording(
        standing,
        at,
        at,
        Verdict.OK,
        Outcome.CHANGED,
        "",
        at + timedelta(hours=1),
        0,
        version=version(markdown, at),
        change=change,
    )


def claimed(archive: Archive) -> Standing:
    [standing] = archive.claim([KEY], NOW, LEASE)
    return standing


def record_texts(archive: Archive, texts: Sequence[str]) -> list[int]:
    ids = []
    for number, markdown in enumerate(texts):
        recorded = archive.record(recording(claimed(archive), markdown, NOW + timedelta(days=number)))
        assert recorded.version_id is not None
        ids.append(recorded.version_id)
    return ids


def an_alert(uid: str = "tag:a,2026:1") -> Alert:
    return Alert(
        uid,
        AlertKind.CHANGE,
        NOW,
        "Brushwork",
        "Brushwork",
        "Terms of Service",
        "https://b.example",
        "News",
        Severity.HIGH,
    )


def telling(change_id: int, version_id: int) -> tuple[Alert, list[Envelope], list[str]]:
    alert = replace(an_alert(), change_id=change_id, version_id=version_id)
    return alert, [Envelope(Addressee("email", "ada@example.org"), "<1@tosmon>")], ["all", "service/Brushwork"]


def changed(archive: Archive, before_id: int, state: ChangeState, tell: bool) -> NewChange:
    comparison = compare(split("One."), split("Two."))
    judgement = Judgement(True, "reworded", Severity.HIGH, "News", effective_date=date(2026, 6, 1))
    return NewChange(before_id, judgement, comparison, state, "seen", telling if tell else None)


MARKDOWN = st.lists(
    st.sampled_from(
        ["# A", "- x", "1. y", "| a | b |", "Word.", "Long " * 60, "", "\u2028z", "§ 3 Änderung", "\ud83d\ude00"]
    ),
    max_size=12,
).map("\n".join)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(MARKDOWN, min_size=1, max_size=5))
def test_each_version_rebuilds_byte_for_byte(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever was recorded, in whatever order, comes back exactly."""
    archive = Archive(f"sqlite:///{tmp_path_factory.mktemp('archive')}/a.sqlite")
    archive.declare([terms()], NOW)

    ids = record_texts(archive, texts)

    assert [join(archive.browse.clauses(version_id)) for version_id in ids] == texts
    archive.close()


@given(st.text(), st.lists(st.tuples(st.integers(0, 2**40), st.integers(0, 2**20))))
def test_packing_is_lossless(text: str, rows: list[tuple[int, int]]) -> None:
    """Texts and lists of ids come out of their columns as they went in."""
    assert unpack_text(pack_text(text)) == text
    assert unpack_ids(pack_ids(rows)) == rows


def test_a_clause_is_stored_once(archive: Archive) -> None:
    """Two versions that share a sentence share its row, also when its number changed."""
    record_texts(archive, ["1. We never train.\n\n2. Fees.", "1. Fees.\n\n2. We never train.\n\nNew."])

    assert archive.browse.counts()["clauses"] == 3


def test_since_when_counts_the_present_run(archive: Archive) -> None:
    """A clause that left and came back stands since its return."""
    ids = record_texts(archive, ["Stays.\n\nComes and goes.", "Stays.", "Stays.\n\nComes and goes."])

    since = [version_id for version_id, _ in archive.browse.since(ids[2])]

    assert since == [ids[0], ids[2]]


def test_text_in_force_on_a_day(archive: Archive) -> None:
    """The version at an instant is the last one seen by then; before the first there is none."""
    ids = record_texts(archive, ["One.", "Two."])

    found = archive.browse.version_at(KEY, NOW + timedelta(hours=5))

    assert found is not None and found.id == ids[0]
    assert archive.browse.version_at(KEY, NOW - timedelta(seconds=1)) is None


def test_a_told_change_leaves_alert_feeds_and_notifications_at_once(archive: Archive) -> None:
    """Change, alert, feed entries and outbox are one transaction with the version."""
    [first] = record_texts(archive, ["One."])
    recorded = archive.record(recording(claimed(archive), "Two.", NOW, changed(archive, first, ChangeState.TOLD, True)))

    assert recorded.alert is not None
    assert [alert.uid for alert in archive.browse.alerts("service/Brushwork")] == ["tag:a,2026:1"]
    assert archive.outbox.counts() == {"pending": 1}
    [change] = archive.browse.changes()
    assert (change.headline, change.effective_date, change.state) == ("News", date(2026, 6, 1), ChangeState.TOLD)


def test_a_recording_that_fails_leaves_nothing(archive: Archive) -> None:
    """When telling fails, not even the check is there: nothing is half recorded."""
    [first] = record_texts(archive, ["One."])
    before = archive.browse.counts()

    def broken(change_id: int, version_id: int) -> tuple[Alert, list[Envelope], list[str]]:
        raise RuntimeError("the alert could not be made")

    change = replace(changed(archive, first, ChangeState.TOLD, True), tell=broken)
    with pytest.raises(RuntimeError):
        archive.record(recording(claimed(archive), "Two.", NOW, change))

    assert archive.browse.counts() == before


def test_a_claimed_document_is_left_alone_until_its_lease_ends(archive: Archive) -> None:
    """Two processes never look at the same document; a dead one's lease runs out."""
    assert len(archive.claim_due(NOW, LEASE, 10)) == 1
    assert archive.claim_due(NOW, LEASE, 10) == []
    assert archive.claim([KEY], NOW, LEASE) == []
    assert len(archive.claim_due(NOW + LEASE, LEASE, 10)) == 1


def test_a_late_recording_under_a_lost_lease_is_dropped(archive: Archive) -> None:
    """A process that was thought dead and comes back records nothing twice."""
    [slow] = archive.claim_due(NOW, LEASE, 10)
    [quick] = archive.claim_due(NOW + LEASE, LEASE, 10)
    archive.record(recording(quick, "One."))

    with pytest.raises(LeaseLost):
        archive.record(recording(slow, "One."))

    assert archive.browse.counts()["versions"] == 1


def test_two_threads_record_without_losing_anything(tmp_path: Path) -> None:
    """Writers queue for the archive; each document gets its version."""
    url = f"sqlite:///{tmp_path}/archive.sqlite"
    keys = [TermsKey(f"S{n}", "Terms of Service") for n in range(40)]
    setup = Archive(url)
    setup.declare([terms(key) for key in keys], NOW)

    def work() -> None:
        archive = Archive(url)
        while claims := archive.claim_due(NOW, LEASE, 3):
            for standing in claims:
                archive.record(recording(standing, f"Terms of {standing.key.service}.\n\nShared clause."))
        archive.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert setup.browse.counts()["versions"] == 40
    assert setup.browse.counts()["clauses"] == 41
    setup.close()


def test_an_incident_opens_once_and_closes_on_recovery(archive: Archive) -> None:
    """One incident per document, with how often it was seen; a whole look closes it."""
    for number in range(3):
        at = NOW + timedelta(hours=number)
        failed = Recording(
            claimed(archive), at, at, Verdict.BLOCKED, Outcome.FAILED, "403", at + timedelta(hours=1), number + 1
        )
        recorded = archive.record(failed)
        assert recorded.incident_opened == (number == 0)

    [incident] = archive.browse.incidents()
    assert (incident.verdict, incident.looks, incident.last_whole_at) == (Verdict.BLOCKED, 3, None)

    record_texts(archive, ["Back."])
    assert archive.browse.incidents() == []


def test_outbox_claims_each_notification_once_and_again_after_a_death(archive: Archive) -> None:
    """A claim hides a notification until it is settled or its lease is over; the Message-ID stays."""
    [first] = record_texts(archive, ["One."])
    archive.record(recording(claimed(archive), "Two.", NOW, changed(archive, first, ChangeState.TOLD, True)))

    notification = archive.outbox.claim("email", NOW, LEASE)
    assert archive.outbox.claim("email", NOW, LEASE) is None
    again = archive.outbox.claim("email", NOW + LEASE, LEASE)
    assert notification is not None and again is not None
    assert (again.message_id, again.attempts) == (notification.message_id, 2)

    archive.outbox.settle_failed(again.id, NOW, "greylisted", NOW + timedelta(hours=1))
    assert archive.outbox.claim("email", NOW + timedelta(minutes=59), LEASE) is None
    third = archive.outbox.claim("email", NOW + timedelta(hours=1), LEASE)
    assert third is not None
    archive.outbox.settle_sent(third.id, NOW)
    assert archive.outbox.counts() == {"sent": 1}


def test_a_dead_letter_is_listed_and_can_be_sent_again(archive: Archive) -> None:
    """What was given up on waits for the operator, with the reason."""
    [first] = record_texts(archive, ["One."])
    archive.record(recording(claimed(archive), "Two.", NOW, changed(archive, first, ChangeState.TOLD, True)))
    notification = archive.outbox.claim("email", NOW, LEASE)
    assert notification is not None
    archive.outbox.settle_failed(notification.id, NOW, "550 no such user", None)

    [dead] = archive.outbox.notifications(NotificationState.DEAD)

    assert (dead.recipient, dead.error) == ("ada@example.org", "550 no such user")
    assert archive.outbox.revive(dead.id, NOW) and not archive.outbox.revive(dead.id, NOW)
    assert archive.outbox.claim("email", NOW, LEASE) is not None


def test_pending_change_is_told_when_settled(archive: Archive) -> None:
    """A change that waited for its second look becomes an alert in the transaction that confirms it."""
    [first] = record_texts(archive, ["One."])
    pending = changed(archive, first, ChangeState.PENDING, False)
    archive.record(recording(claimed(archive), "Two.", NOW, pending))
    standing = claimed(archive)
    assert standing.pending is not None and archive.outbox.counts() == {}

    settled = Settled(standing.pending.id, ChangeState.TOLD, "seen twice", telling)
    at = NOW + timedelta(minutes=10)
    archive.record(Recording(standing, at, at, Verdict.OK, Outcome.UNCHANGED, "", at, 0, settled=(settled,)))

    assert archive.outbox.counts() == {"pending": 1}
    assert claimed(archive).pending is None


def test_an_alert_is_recorded_once_however_often_it_is_told(archive: Archive) -> None:
    """A reminder that two processes send at the same time is one reminder."""
    [first] = record_texts(archive, ["One."])
    archive.record(recording(claimed(archive), "Two.", NOW, changed(archive, first, ChangeState.SUPPRESSED, False)))
    [change] = archive.browse.changes(told_only=False)

    assert archive.tell(change, telling, NOW) is not None
    assert archive.tell(change, telling, NOW) is None


def test_identity_is_fixed_by_the_first_call(archive: Archive) -> None:
    """Alert ids outlive a change of host: authority and date never change once set."""
    first = archive.identity("tosmon.example", date(2026, 5, 3))

    assert archive.identity("elsewhere.example", date(2027, 1, 1)) == first


def test_documents_no_longer_declared_stay_archived_but_are_not_checked(archive: Archive) -> None:
    """Removing a document from the configuration deletes nothing."""
    record_texts(archive, ["One."])

    archive.declare([], NOW)

    assert archive.claim_due(NOW + timedelta(days=9), LEASE, 9) == []
    document = archive.browse.document(KEY)
    assert document is not None and not document.declared and document.versions == 1


def test_a_renamed_service_keeps_its_documents(archive: Archive) -> None:
    """The key is the identity: a new name changes what people read, nothing else."""
    record_texts(archive, ["One."])

    archive.declare([replace(terms(), service_name="Brush & Co")], NOW)

    [service] = archive.browse.services()
    assert (service.key, service.name, service.terms) == ("Brushwork", "Brush & Co", 1)


def test_migrated_schema_is_the_declared_one(tmp_path: Path) -> None:
    """What the migrations make is what the code declares, to the column."""
    url = f"sqlite:///{tmp_path}/archive.sqlite"
    Archive(url).close()
    engine = create_engine(url)
    with engine.connect() as connection:
        # The full-text index is a virtual table, which SQLAlchemy knows nothing of.
        ours = {"include_name": lambda name, kind, _: kind != "table" or not name.startswith(search.INDEX)}
        assert compare_metadata(MigrationContext.configure(connection, opts=ours), metadata) == []
    engine.dispose()


def test_an_archive_of_a_newer_tosmon_is_refused_untouched(tmp_path: Path) -> None:
    """Downgrading never damages an archive."""
    url = f"sqlite:///{tmp_path}/archive.sqlite"
    Archive(url).close()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    engine.dispose()

    with pytest.raises(ArchiveError, match="newer tosmon"):
        Archive(url)


def test_something_that_is_no_archive_is_a_clear_error(tmp_path: Path) -> None:
    """A file that is no database is named, not crashed on."""
    path = tmp_path / "archive.sqlite"
    path.write_bytes(b"not a database at all" * 100)

    with pytest.raises(ArchiveError, match=r"archive\.sqlite"):
        Archive(f"sqlite:///{path}")
    with pytest.raises(ArchiveError, match="no database URL"):
        Archive("nonsense")
