"""Empty the outbox: claim a notification, send it, settle it, one at a time for each channel.

Nothing is lost when this process dies at any point: what was claimed and not settled is claimed again when its lease
runs out, and goes out with the same Message-ID. Only a death between the last byte of a mail and the server's answer
can make a second copy. Knows no SQL (the archive keeps the outbox) and no layout (publish renders).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from tosmon.deliver.channel import Channel, ChannelDown, RecipientRefused, TryLater
from tosmon.errors import DeliveryError
from tosmon.model import Notification
from tosmon.publish.text import line

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=10)
"""How long a claim holds: longer than the slowest dialogue with a server (eight answers at 30 s each)."""


class Outbox(Protocol):
    """Where notifications wait; the archive has one."""

    def claim(
        self, channel: str, now: datetime, lease: timedelta, *, most_an_hour: int | None = None
    ) -> Notification | None:
        """The notification of this channel that is due for longest, or whose claim has run out; nobody else gets it
        until `now + lease`. `attempts` counts this one: 1 at the first."""
        ...

    def anything_due(self, channel: str, now: datetime) -> bool: ...

    def settle_sent(self, notification_id: int, now: datetime) -> None: ...

    def settle_failed(
        self, notification_id: int, now: datetime, error: str, retry_at: datetime | None, *, refused: bool = False
    ) -> None:
        """Due again at `retry_at`; `None`: a dead letter that only the operator sends again."""
        ...

    def refusals(self, channel: str, recipient: str) -> int: ...

    def put_off(self, channel: str, now: datetime, until: datetime, error: str) -> int: ...

    def put_off_others(self, channels: Collection[str], now: datetime, until: datetime, error: str) -> int: ...


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a round did: mails (or calls) sent; notifications failed and to be tried again, and given up."""

    sent: int = 0
    failed: int = 0
    dead: int = 0

    def __add__(self, other: Delivered) -> Delivered:
        return Delivered(self.sent + other.sent, self.failed + other.failed, self.dead + other.dead)


# Quick at first, as greylisting lets one in after five minutes; then as often as mail servers themselves try.
_WAITS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 10, 15, 30, 60, 120))
_SERVER_WAIT = timedelta(minutes=10)
PATIENCE = timedelta(days=5)
"""How long a notification is tried: RFC 5321, 4.5.4.1 asks for four to five days at least."""
_FEWEST_ATTEMPTS = 12
_LONGEST_WISH = timedelta(days=1)
_UNKNOWN_WAIT = timedelta(hours=1)
_MOMENT = timedelta(seconds=1)


REFUSALS = 3
"""After so many refusals in a row an address is suspended: it is gone, and asking on harms our name with its server."""

Suspend = Callable[[str, str], object]
"""Called with the channel and the recipient that was refused REFUSALS times in a row."""


def never() -> bool:
    return False


def suspend_nobody(channel: str, recipient: str) -> None:
    """For callers without subscribers."""


def retry_at(
    attempts: int, now: datetime, since: datetime, *, channel_down: bool = False, wished: timedelta | None = None
) -> datetime | None:
    """When to try again what failed for the time being for the `attempts`-th time; `None` to give up.

    After 1, 5, 10, 15, 30 and 60 minutes, then every two hours; while a whole server is down, every ten minutes at the
    latest, as that costs one connection for all that waits; not before the other side `wished`. Given up five days
    after `since` (when it was written), but not before twelve attempts: a dead letter that the operator sends again has
    a chance of its own. There is no chance in the waits: one worker empties a channel, and its own pace spreads the load.
    """
    if now - since > PATIENCE and attempts >= _FEWEST_ATTEMPTS:
        return None
    wait = _WAITS[min(attempts, len(_WAITS)) - 1]
    wait = min(wait, _SERVER_WAIT) if channel_down else wait
    return now + max(wait, min(wished or timedelta(0), _LONGEST_WISH))


def deliver_due(
    outbox: Outbox,
    channels: Mapping[str, Channel],
    now: Callable[[], datetime],
    *,
    stop: Callable[[], bool] = never,
    suspend: Suspend = suspend_nobody,
) -> Delivered:
    """Send everything that is due, all channels side by side, and say what became of it. `stop` is asked in between."""
    put_off_unknown(outbox, channels, now)

    def round_of(name: str) -> Delivered:
        return deliver_by(outbox, name, channels[name], now, stop=stop, suspend=suspend)

    # A thread only for what has something to do: mostly none of them.
    busy = [name for name in channels if outbox.anything_due(name, now())]
    if len(busy) < 2:
        return sum(map(round_of, busy), Delivered())
    with ThreadPoolExecutor(len(busy), thread_name_prefix="deliver") as pool:
        return sum(pool.map(round_of, busy), Delivered())


def put_off_unknown(outbox: Outbox, channels: Collection[str], now: Callable[[], datetime]) -> None:
    """What waits for a channel that is configured no more is kept, and says why it waits."""
    error = "no such channel is configured any more; configure it again, or drop what waits for it: tosmon outbox drop"
    if count := outbox.put_off_others(channels, now(), now() + _UNKNOWN_WAIT, error):
        log.warning("%d notifications wait for channels that are not configured; see: tosmon outbox", count)


def deliver_by(
    outbox: Outbox,
    name: str,
    channel: Channel,
    now: Callable[[], datetime],
    *,
    stop: Callable[[], bool] = never,
    suspend: Suspend = suspend_nobody,
) -> Delivered:
    """Send everything that is due for one channel.

    A failing recipient holds up no other. When the whole channel fails, all that waits for it is put off untried; what
    was tried comes last the next time, so that no single notification can stand before the others.
    """
    done = Delivered()
    try:
        while not stop() and outbox.anything_due(name, now()):
            notification = outbox.claim(name, now(), LEASE, most_an_hour=channel.most_an_hour)
            if notification is None:
                break
            error = _sent(channel, notification)
            done += _settled(outbox, notification, error, now, suspend)
            if isinstance(error, ChannelDown):
                until = now() + min(_WAITS[min(notification.attempts, len(_WAITS)) - 1], _SERVER_WAIT) - _MOMENT
                done += Delivered(failed=outbox.put_off(name, now(), until, line(str(error), 500)))
    finally:
        channel.close()
    return done


def _sent(channel: Channel, notification: Notification) -> DeliveryError | None:
    """Hand it over; an error is a value here, so that the one place that settles sees every end."""
    try:
        channel.send(notification)
    except DeliveryError as error:
        return error
    except Exception as error:
        # A notification that cannot be rendered is a bug, but it must not stand before all others for ever: it is
        # logged whole, tried again over days (a newer tosmon may mend it), and then lies among the dead letters.
        log.exception("notification %d by %s", notification.id, notification.channel)
        return DeliveryError(f"{type(error).__name__}: {error}", permanent=False)
    return None


def _settled(
    outbox: Outbox,
    notification: Notification,
    error: DeliveryError | None,
    now: Callable[[], datetime],
    suspend: Suspend,
) -> Delivered:
    at, count = now(), len(notification.alerts)
    if error is None:
        outbox.settle_sent(notification.id, at)
        # Without the recipient: a log is kept for longer than a subscriber may want.
        log.log(
            logging.WARNING if notification.is_flood else logging.DEBUG,
            "notification %d by %s: %d alerts in one message%s",
            notification.id,
            notification.channel,
            count,
            "; there were more within an hour than one recipient gets singly" if notification.is_flood else "",
        )
        return Delivered(sent=1)
    again = None
    if not error.permanent:
        wished = error.wait if isinstance(error, TryLater) else None
        whole = isinstance(error, ChannelDown)
        again = retry_at(notification.attempts, at, notification.created_at, channel_down=whole, wished=wished)
    refused = isinstance(error, RecipientRefused)
    outbox.settle_failed(notification.id, at, line(str(error), 500), again, refused=refused)
    log.warning(
        "notification %d by %s not delivered (attempt %d): %s; %s",
        notification.id,
        notification.channel,
        notification.attempts,
        line(str(error), 200),
        f"next attempt {again:%Y-%m-%d %H:%M} UTC" if again else "given up",
    )
    if refused and outbox.refusals(notification.channel, notification.recipient) >= REFUSALS:
        log.warning("an address was refused %d times in a row; if it is a subscriber's, they hear no more", REFUSALS)
        suspend(notification.channel, notification.recipient)
    return Delivered(failed=count) if again else Delivered(dead=count)
