"""Emptying the outbox: each notification is settled by what became of it, and none holds up another."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest

from tosmon.deliver import LEASE, ChannelDown, Delivered, RecipientRefused, TryLater, deliver_due, retry_at
from tosmon.errors import DeliveryError
from tosmon.model import FLOOD, Alert, AlertKind, Notification, Severity

NOW = datetime(2026, 10, 21, 14, 0, tzinfo=UTC)
ALERT = Alert(
    "tag:example.org,2026:change/1",
    AlertKind.CHANGE,
    NOW,
    "X",
    "X",
    "Terms",
    "https://x.example",
    "News",
    Severity.HIGH,
)


def note(number: int, channel: str = "email", recipient: str = "ada@example.net") -> Notification:
    return Notification(number, ALERT, channel, recipient, f"<{number}@example.org>", 1, NOW)


@dataclass
class Waiting:
    """An outbox in memory: what waits, what is claimed, what became of each."""

    due: deque[Notification]
    claimed: dict[int, datetime] = field(default_factory=dict)
    settled: dict[int, str | tuple[str, datetime | None]] = field(default_factory=dict)
    off: dict[int, tuple[str, datetime]] = field(default_factory=dict)
    refused_before: int = 0

    def claim(
        self, channel: str, now: datetime, lease: timedelta, *, most_an_hour: int | None = None
    ) -> Notification | None:
        taken = next((one for one in self.due if one.channel == channel), None)
        if taken is not None:
            self.due.remove(taken)
            self.claimed[taken.id] = now + lease
        return taken

    def anything_due(self, channel: str, now: datetime) -> bool:
        return any(one.channel == channel for one in self.due)

    def settle_sent(self, notification_id: int, now: datetime) -> None:
        del self.claimed[notification_id]
        self.settled[notification_id] = "sent"

    def settle_failed(
        self, notification_id: int, now: datetime, error: str, retry_at: datetime | None, *, refused: bool = False
    ) -> None:
        del self.claimed[notification_id]
        self.settled[notification_id] = (error, retry_at)

    def refusals(self, channel: str, recipient: str) -> int:
        return self.refused_before + 1

    def put_off(self, channel: str, now: datetime, until: datetime, error: str) -> int:
        return self._put_off([one for one in self.due if one.channel == channel], until, error)

    def put_off_others(self, channels: Collection[str], now: datetime, until: datetime, error: str) -> int:
        return self._put_off([one for one in self.due if one.channel not in channels], until, error)

    def _put_off(self, which: list[Notification], until: datetime, error: str) -> int:
        for one in which:
            self.due.remove(one)
            self.off[one.id] = (error, until)
        return len(which)


class Errand:
    """A channel that does with each notification what it is told to."""

    most_an_hour: int | None = None

    def __init__(self, do: Callable[[Notification], None] = lambda notification: None) -> None:
        self.sent: list[int] = []
        self.closed = 0
        self._do = do

    def send(self, notification: Notification) -> None:
        self._do(notification)
        self.sent.append(notification.id)

    def close(self) -> None:
        self.closed += 1


def waiting(*notifications: Notification) -> Waiting:
    return Waiting(deque(notifications))


def clock() -> datetime:
    return NOW


def test_everything_due_is_sent_and_settled() -> None:
    """A run hands over what waits, in order, and says how many."""
    outbox, errand = waiting(note(1), note(2)), Errand()

    assert deliver_due(outbox, {"email": errand}, clock) == Delivered(sent=2)
    assert errand.sent == [1, 2]
    assert outbox.settled == {1: "sent", 2: "sent"} and not outbox.claimed


def test_a_flood_is_logged_without_the_address(caplog: pytest.LogCaptureFixture) -> None:
    """The operator hears that there was one; a log is kept for longer than a subscriber may want."""
    flood = replace(note(1), bundle=f"{FLOOD} {NOW.isoformat()}")

    deliver_due(waiting(flood), {"email": Errand()}, clock)

    assert "notification 1 by email: 1 alerts in one message; there were more" in caplog.text
    assert flood.recipient not in caplog.text


def test_no_more_than_one_is_claimed_and_unsettled() -> None:
    """While one is being sent nothing else is claimed, so that a kill leaves one unknown."""
    seen: list[int] = []
    outbox = waiting(note(1), note(2), note(3))
    errand = Errand(lambda notification: seen.append(len(outbox.claimed)))

    deliver_due(outbox, {"email": errand}, clock)

    assert seen == [1, 1, 1]


def test_slow_channel_holds_up_no_other() -> None:
    """Channels are emptied side by side: what hangs in one is no reason to wait for another."""
    mailed = Event()

    def hang(notification: Notification) -> None:
        assert mailed.wait(30)

    def tell(notification: Notification) -> None:
        mailed.set()

    outbox = waiting(note(1, "hook"), note(2))
    hook, mail = Errand(hang), Errand(tell)

    assert deliver_due(outbox, {"hook": hook, "email": mail}, clock) == Delivered(sent=2)
    assert (hook.closed, mail.closed) == (1, 1)


def test_wish_of_the_other_side_is_kept() -> None:
    """Who asks for an hour gets an hour; who asks for a year gets a day."""

    def later(notification: Notification) -> None:
        raise TryLater("429", timedelta(hours=1) if notification.id == 1 else timedelta(days=365))

    outbox = waiting(note(1), note(2))
    deliver_due(outbox, {"email": Errand(later)}, clock)

    assert outbox.settled == {1: ("429", NOW + timedelta(hours=1)), 2: ("429", NOW + timedelta(days=1))}


def test_refused_recipient_is_a_dead_letter_and_delays_nobody() -> None:
    """A permanent error is given up at once, and the next one is sent."""

    def refuse(notification: Notification) -> None:
        if notification.id == 1:
            raise DeliveryError("550 no such user", permanent=True)

    outbox = waiting(note(1), note(2))

    assert deliver_due(outbox, {"email": Errand(refuse)}, clock) == Delivered(sent=1, dead=1)
    assert outbox.settled == {1: ("550 no such user", None), 2: "sent"}


@pytest.mark.parametrize(("before", "suspended"), [(1, []), (2, [("email", "ada@example.net")])])
def test_third_refusal_in_a_row_suspends_an_address(before: int, suspended: list[tuple[str, str]]) -> None:
    """Whoever keeps the addresses is told of one that is gone."""

    def refuse(notification: Notification) -> None:
        raise RecipientRefused("550 no such user")

    outbox, told = waiting(note(1)), list[tuple[str, str]]()
    outbox.refused_before = before
    deliver_due(outbox, {"email": Errand(refuse)}, clock, suspend=lambda channel, one: told.append((channel, one)))

    assert told == suspended


def test_temporary_error_is_tried_again_later() -> None:
    """A temporary error is due again after the wait for that many attempts."""

    def later(notification: Notification) -> None:
        raise DeliveryError("451 try again", permanent=False)

    outbox = waiting(note(1), replace(note(2), attempts=4))

    assert deliver_due(outbox, {"email": Errand(later)}, clock) == Delivered(failed=2)
    assert outbox.settled == {
        1: ("451 try again", NOW + timedelta(minutes=1)),
        2: ("451 try again", NOW + timedelta(minutes=15)),
    }


def test_after_five_days_it_is_given_up() -> None:
    """What failed for five days becomes a dead letter."""

    def later(notification: Notification) -> None:
        raise DeliveryError("451 try again", permanent=False)

    outbox = waiting(replace(note(1), attempts=60, created_at=NOW - timedelta(days=5, hours=1)))

    assert deliver_due(outbox, {"email": Errand(later)}, clock) == Delivered(dead=1)


def test_server_that_is_down_is_asked_once_a_run() -> None:
    """When a whole server fails, its other notifications wait for their turn untried; other channels go on."""
    asked: list[int] = []

    def down(notification: Notification) -> None:
        asked.append(notification.id)
        raise ChannelDown("connection refused")

    outbox, hook = waiting(note(1), note(2), note(3, "hook"), note(4)), Errand()

    assert deliver_due(outbox, {"email": Errand(down), "hook": hook}, clock) == Delivered(sent=1, failed=3)
    assert asked == [1] and hook.sent == [3]
    assert outbox.settled == {1: ("connection refused", NOW + timedelta(minutes=1)), 3: "sent"}
    assert outbox.off == dict.fromkeys((2, 4), ("connection refused", NOW + timedelta(seconds=59)))


def test_unknown_channel_keeps_its_notifications(caplog: pytest.LogCaptureFixture) -> None:
    """A channel that left the configuration loses nothing: its notifications are tried again, and told of."""
    outbox = waiting(note(1, "pigeon"))

    assert deliver_due(outbox, {}, clock) == Delivered()
    assert "tosmon outbox" in outbox.off[1][0] and "wait for channels" in caplog.text


def test_notification_that_cannot_be_rendered_stands_in_nobodys_way(caplog: pytest.LogCaptureFixture) -> None:
    """A bug with one notification is logged whole and tried again, and the others are sent."""

    def broken(notification: Notification) -> None:
        if notification.id == 1:
            raise KeyError("surprise")

    outbox = waiting(note(1), note(2))

    assert deliver_due(outbox, {"email": Errand(broken)}, clock) == Delivered(sent=1, failed=1)
    assert "KeyError" in caplog.text and "Traceback" in caplog.text


def test_stopping_ends_between_two_notifications() -> None:
    """Asked to stop, a run finishes the one at hand and claims no other."""
    errand = Errand()
    outbox = waiting(note(1), note(2))

    assert deliver_due(outbox, {"email": errand}, clock, stop=lambda: bool(errand.sent)) == Delivered(sent=1)
    assert [one.id for one in outbox.due] == [2] and not outbox.claimed


def test_errors_are_kept_in_one_visible_line() -> None:
    """What a server answers is shown to the operator: without control characters, and not for pages."""

    def rude(notification: Notification) -> None:
        raise DeliveryError("no\r\n\x1b[31m" + "x" * 9000, permanent=True)

    outbox = waiting(note(1))
    deliver_due(outbox, {"email": Errand(rude)}, clock)
    settled = outbox.settled[1]

    assert isinstance(settled, tuple) and settled[0].startswith("no [31mxxx") and len(settled[0]) <= 500


def attempts_of(minutes_down: float, *, channel_down: bool) -> list[timedelta]:
    """When each attempt is made (after the first) for as long as everything fails."""
    at = NOW
    times: list[timedelta] = []
    while (again := retry_at(len(times) + 1, at, NOW, channel_down=channel_down)) is not None:
        times.append(again - NOW)
        at = again
        if again - NOW > timedelta(minutes=minutes_down):
            break
    return times


def test_retries_are_quick_at_first_and_go_on_for_five_days() -> None:
    """Greylisting is over after minutes; a recipient's server has five days to come back."""
    times = attempts_of(60 * 24 * 30, channel_down=False)

    assert [time / timedelta(minutes=1) for time in times[:4]] == [1, 6, 16, 31]
    assert timedelta(days=5) < times[-1] <= timedelta(days=5, hours=2)


def test_own_server_that_comes_back_is_used_within_ten_minutes() -> None:
    """After six hours without the mail server, what waited goes out in ten minutes, and nothing was given up."""
    assert attempts_of(360, channel_down=True)[-1] <= timedelta(minutes=370)


def test_dead_letter_sent_again_has_a_chance_of_its_own() -> None:
    """An old notification with few attempts behind it is not given up at once."""
    assert retry_at(1, NOW, NOW - timedelta(days=60)) == NOW + timedelta(minutes=1)


def test_claims_outlast_the_slowest_dialogue() -> None:
    """Nobody else sends what this process is still handing over: connect, greet, STARTTLS, greet, log in, mail, end."""
    assert timedelta(seconds=30) * 10 < LEASE
