"""The outbox in a real archive: digests, floods, dead letters, and what the operator sees of them."""

from __future__ import annotations

import json
import re
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner
from test_deliver_smtp import KEY, KILLS, MAILS, Clock, Mailbox, _child, serving

from tosmon import publish
from tosmon.archive import Archive, Envelope, NewChange, Recording
from tosmon.clauses import canonical_digest, split
from tosmon.cli import tosmon
from tosmon.compare import compare
from tosmon.deliver import Delivered, SmtpChannel, SmtpSettings, deliver_due
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
    Verdict,
    Version,
)

NOW = datetime(2026, 10, 21, 14, 0, tzinfo=UTC)
LEASE = timedelta(minutes=10)


def tell(archive: Archive, to: Sequence[Addressee], changes: int = 1, at: datetime = NOW) -> None:
    """Record changes of one document, each told to these."""
    archive.declare([Terms(KEY, "Paintbox", Form((SourceDocument("https://paintbox.example/terms"),)))], at)
    standing = archive.standing(KEY)
    assert standing is not None
    known = standing.latest.id if standing.latest else 0
    before = known or None
    for number in range(changes + (not known)):
        [standing] = archive.claim([KEY], at, timedelta(minutes=5))
        clauses = split(f"We keep your pictures for {known + number} years.")
        version = Version(clauses, at, b"d" * 32, canonical_digest(clauses), 6)
        change = _change(before, to, at) if before else None
        recorded = archive.record(
            Recording(standing, at, at, Verdict.OK, Outcome.CHANGED, "", at, 0, version=version, change=change)
        )
        before = recorded.version_id


def _change(before_id: int, to: Sequence[Addressee], at: datetime) -> NewChange:
    def telling(change_id: int, version_id: int) -> tuple[Alert, list[Envelope], list[str]]:
        uid = publish.alert_uid("example.org", date(2026, 1, 31), change_id, AlertKind.CHANGE)
        alert = Alert(
            uid, AlertKind.CHANGE, at, "Paintbox", "Paintbox", KEY.type, "https://paintbox.example/terms",
            f"Paintbox Terms of Service: change number {change_id}", Severity.MEDIUM, change_id=change_id,
        )  # fmt: skip
        return alert, [Envelope(one, publish.message_id("example.org", uid, one.recipient)) for one in to], ["all"]

    judgement = Judgement(True, "a number", Severity.MEDIUM, "keeps your pictures longer")
    return NewChange(before_id, judgement, compare(split("One."), split("Two.")), ChangeState.TOLD, "seen", telling)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = Archive(f"sqlite:///{tmp_path}/archive.sqlite")
    yield opened
    opened.close()


def run(archive: Archive, smtp: SmtpSettings, at: datetime = NOW, most_an_hour: int | None = None) -> Delivered:
    channel = SmtpChannel(smtp, MAILS, lambda: at, most_an_hour=most_an_hour)
    return deliver_due(archive.outbox, {"email": channel}, lambda: at)


def daily(recipient: str, due: datetime = NOW + timedelta(hours=10)) -> Addressee:
    return Addressee("email", recipient, due, f"daily {due:%Y-%m-%d}")


# --- digests ------------------------------------------------------------------------------------------------------


def test_digest_is_one_mail_with_all_that_waits_when_its_hour_comes(archive: Archive) -> None:
    """Three changes of a day are nothing before the hour and one mail then; who wants each at once gets each."""
    tell(archive, [daily("ada@example.net"), Addressee("email", "ben@example.net")], changes=3)
    mailbox = Mailbox()
    with serving(mailbox) as smtp:
        assert run(archive, smtp) == Delivered(sent=3)
        assert run(archive, smtp, NOW + timedelta(hours=10)) == Delivered(sent=1)
        assert run(archive, smtp, NOW + timedelta(days=9)) == Delivered()

    assert Counter(mailbox.recipients) == {"ben@example.net": 3, "ada@example.net": 1}
    [digest] = [message for to, message in mailbox.received if to == "ada@example.net"]
    assert digest["Subject"] == "MEDIUM · 3 changes of terms: Paintbox"
    text = digest.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert [f"change number {number}" in text for number in (1, 2, 3)] == [True] * 3
    assert archive.outbox.counts() == {"sent": 6}


def test_digest_that_was_begun_takes_nothing_more(archive: Archive) -> None:
    """After a failed attempt the same mail goes again, with the same Message-ID; what came later has its own."""
    due = NOW + timedelta(hours=1)
    tell(archive, [daily("ada@example.net", due)], changes=2)
    answers = iter(["451 not now", None, None])
    mailbox = Mailbox(at_rcpt=lambda address: next(answers))
    ids = list[str]()
    with serving(mailbox) as smtp:
        first = archive.outbox.claim("email", due, timedelta(0))
        assert first is not None
        ids.append(first.message_id)
        assert run(archive, smtp, due) == Delivered(failed=2)
        tell(archive, [daily("ada@example.net", due)], at=due)
        assert run(archive, smtp, due + timedelta(hours=1)) == Delivered(sent=2)

    subjects = {str(message["Message-ID"]): str(message["Subject"]) for _, message in mailbox.received}
    assert len(subjects) == 2 and subjects[ids[0]] == "MEDIUM · 2 changes of terms: Paintbox"
    assert "MEDIUM · 1 change of terms: Paintbox" in subjects.values()


def test_claimed_digest_of_a_dead_process_goes_again_whole(archive: Archive) -> None:
    """A process that dies with a digest in its hands leaves all of it to the next one, under the same id."""
    due = NOW + timedelta(hours=1)
    tell(archive, [daily("ada@example.net", due)], changes=3)
    dead = archive.outbox.claim("email", due, LEASE)
    tell(archive, [daily("ada@example.net", due)], at=due)
    assert dead is not None

    other = archive.outbox.claim("email", due + timedelta(minutes=1), LEASE)
    again = archive.outbox.claim("email", due + LEASE, LEASE)

    assert other is not None and len(other.alerts) == 1 and other.message_id != dead.message_id
    assert again is not None
    assert (again.message_id, again.alerts, again.attempts) == (dead.message_id, dead.alerts, 2)


def test_refused_digest_is_a_dead_letter_that_can_be_sent_again_whole(archive: Archive) -> None:
    """All parts of a digest share its end, and come back together."""
    due = NOW + timedelta(hours=1)
    tell(archive, [daily("ada@example.net", due)], changes=2)
    refusing, mailbox = Mailbox(at_rcpt=lambda address: "550 5.1.1 no such user"), Mailbox()
    with serving(refusing) as smtp:
        assert run(archive, smtp, due) == Delivered(dead=2)
    dead = archive.outbox.notifications(NotificationState.DEAD)

    assert [one.refused for one in dead] == [True, True]
    assert archive.outbox.revive(dead[0].id, due)
    with serving(mailbox) as smtp:
        assert run(archive, smtp, due) == Delivered(sent=1)
    assert mailbox.received[0][1]["Subject"] == "MEDIUM · 2 changes of terms: Paintbox"


@pytest.mark.kill
def test_killed_at_any_instant_no_digest_is_lost_or_mixed(archive: Archive, tmp_path: Path) -> None:
    """Killed again and again, each alert is in one mail of its recipient; a second copy is the same mail, word for word."""
    readers = [f"reader{number}@example.net" for number in range(3)]
    mailbox, random = Mailbox(), Random(7)
    now, changes, killed = NOW, 0, 0
    with serving(mailbox) as smtp:
        calls = 0
        while killed < KILLS:
            # New alerts for a digest that may have been begun, and one that comes at once.
            bundles = [Addressee("email", one, now, "daily") for one in readers]
            tell(archive, [*bundles, Addressee("email", "quick@example.net")], changes=2, at=now)
            changes += 2
            now += timedelta(hours=1)
            done = _child(tmp_path, smtp.port, now, random.randrange(1, calls) if calls else 0)
            calls = calls or int(done.stdout)
            killed += done.returncode == -signal.SIGKILL
            assert done.returncode in (0, -signal.SIGKILL), done.stderr
        assert _child(tmp_path, smtp.port, now + timedelta(hours=1), 0).returncode == 0

    assert archive.outbox.counts() == {"sent": changes * 4}
    for reader in (*readers, "quick@example.net"):
        mails = {str(message["Message-ID"]): set[frozenset[int]]() for to, message in mailbox.received if to == reader}
        for to, message in mailbox.received:
            if to == reader:
                mails[str(message["Message-ID"])].add(frozenset(_numbers(message)))
        assert all(len(contents) == 1 for contents in mails.values())
        told = [number for [numbers] in mails.values() for number in numbers]
        assert sorted(told) == list(range(1, changes + 1))


# --- floods -------------------------------------------------------------------------------------------------------


def test_flood_becomes_one_digest_for_each_recipient(archive: Archive) -> None:
    """With at most five alerts an hour, twelve at once are one mail; who gets three gets three."""
    tell(archive, [Addressee("email", "ada@example.net")], changes=9)
    tell(archive, [Addressee("email", "ada@example.net"), Addressee("email", "ben@example.net")], changes=3)
    mailbox = Mailbox()
    with serving(mailbox) as smtp:
        assert run(archive, smtp, most_an_hour=5) == Delivered(sent=4)

    assert Counter(mailbox.recipients) == {"ada@example.net": 1, "ben@example.net": 3}
    [flood] = [message for to, message in mailbox.received if to == "ada@example.net"]
    assert flood["Subject"] == "MEDIUM · 12 changes of terms: Paintbox"


def test_flood_that_goes_on_is_told_once_an_hour(archive: Archive) -> None:
    """Alerts that keep coming are single mails up to the limit, then a digest at most once an hour, and none is lost."""
    mailbox, clock = Mailbox(), Clock()
    mails_at = list[int]()
    with serving(mailbox) as smtp:
        for minute in range(180):
            clock.now = NOW + timedelta(minutes=minute)
            if minute < 120:
                tell(archive, [Addressee("email", "ada@example.net")], at=clock.now)
            mails_at += [minute] * run(archive, smtp, clock.now, most_an_hour=5).sent

    assert archive.outbox.counts() == {"sent": 120}
    for start in range(180):
        assert sum(start <= minute < start + 60 for minute in mails_at) <= 7
    told = [number for _, message in mailbox.received for number in _numbers(message)]
    assert sorted(set(told)) == list(range(1, 121))


def _numbers(message: EmailMessage) -> set[int]:
    part = message.get_body(("plain",))
    assert part is not None
    return {int(number) for number in re.findall(r"change\s+number\s+(\d+)", part.get_content())}


def test_what_may_have_arrived_is_never_bundled_anew(archive: Archive) -> None:
    """A mail that was tried keeps its Message-ID, flood or not: it may lie in the mailbox already."""
    tell(archive, [Addressee("email", "ada@example.net")], changes=1)
    died = archive.outbox.claim("email", NOW, LEASE)
    tell(archive, [Addressee("email", "ada@example.net")], changes=8)
    mailbox = Mailbox()
    with serving(mailbox) as smtp:
        run(archive, smtp, NOW + LEASE, most_an_hour=5)

    assert died is not None
    ids = [message["Message-ID"] for _, message in mailbox.received]
    assert died.message_id in ids and len(ids) == 2


# --- for the operator ---------------------------------------------------------------------------------------------


@pytest.fixture
def config(archive: Archive, tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(f"archive: sqlite:///{tmp_path}/archive.sqlite\n")
    return path


def outbox(config: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(tosmon, ["--config", str(config), "outbox", *arguments], standalone_mode=False)
    error = f"{result.exception}" if result.exception else ""
    return result.exit_code, result.output + error


def test_operator_sees_why_a_letter_is_dead_and_sends_it_again(archive: Archive, config: Path) -> None:
    """list, show, resend, drop: what was given up is explained, and comes back or goes for good."""
    tell(archive, [Addressee("email", "gone@example.net"), Addressee("email", "ada@example.net")])
    mailbox = Mailbox(at_rcpt=lambda address: "550 5.1.1 no such user\x1b[31m" if "gone" in address else "451 later")
    with serving(mailbox) as smtp:
        run(archive, smtp)

    listed = json.loads(outbox(config, "list", "--json")[1])
    assert listed["counts"] == {"dead": 1, "pending": 1}
    [dead, pending] = listed["notifications"]
    assert (dead["recipient"], dead["state"], dead["refused"]) == ("gone@example.net", "dead", True)
    shown = outbox(config, "show", str(dead["id"]))[1]
    assert "no such user" in shown and "knows no such address" in shown and "\x1b" not in shown
    assert "email: 1 wait, 1 given up" in outbox(config)[1]

    assert outbox(config, "resend", str(dead["id"]))[0] == 0
    assert outbox(config, "drop", str(pending["id"]))[0] == 0
    assert archive.outbox.counts() == {"pending": 1, "dropped": 1}
    code, said = outbox(config, "resend", str(pending["id"]))
    assert code == 1 and "nothing to send again" in said


def test_all_dead_letters_can_be_sent_again_at_once(archive: Archive, config: Path) -> None:
    """After a server has forgotten its users for a day, one command brings everything back."""
    tell(archive, [Addressee("email", f"reader{number}@example.net") for number in range(4)])
    with serving(Mailbox(at_rcpt=lambda address: "550 5.1.1 no such user")) as smtp:
        assert run(archive, smtp) == Delivered(dead=4)

    assert "4 will be sent again" in outbox(config, "resend", "--all")[1]
    mailbox = Mailbox()
    with serving(mailbox) as smtp:
        assert run(archive, smtp, datetime.now(UTC) + timedelta(minutes=1)) == Delivered(sent=4)


def test_channel_that_is_configured_no_more_keeps_what_waits(archive: Archive, config: Path) -> None:
    """Nothing is lost with a channel: its notifications wait, and say for what."""
    tell(archive, [Addressee("hook:gone", "gone")])
    assert deliver_due(archive.outbox, {}, lambda: NOW) == Delivered()

    [waiting] = archive.outbox.notifications(NotificationState.PENDING)
    assert "no such channel" in waiting.error
    assert "no such channel" in outbox(config)[1]
