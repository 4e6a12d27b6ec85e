"""Send the letters that wait: mails to subscribers that are no alerts, through the same server, by the same rules.

Claim, send, settle, as for notifications: a process that dies in between leaves a claim that runs out, and the letter
goes again with the same Message-ID.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Protocol

from tosmon.deliver.channel import ChannelDown
from tosmon.deliver.rounds import LEASE, Delivered, never, retry_at
from tosmon.errors import DeliveryError
from tosmon.model import Letter
from tosmon.publish.text import line

log = logging.getLogger(__name__)


class Letterbox(Protocol):
    """Where letters wait; the archive has one."""

    def claim_letters(self, now: datetime, limit: int, lease: timedelta) -> list[Letter]: ...

    def settle_letter_sent(self, letter_id: int, now: datetime) -> None: ...

    def settle_letter_failed(self, letter_id: int, error: str, retry_at: datetime | None) -> None: ...


class Post(Protocol):
    """A server that takes mails; `post` returns when it has taken one, and raises DeliveryError otherwise."""

    def post(self, message: EmailMessage) -> None: ...

    def close(self) -> None: ...


def deliver_letters(
    letterbox: Letterbox,
    post: Post,
    render: Callable[[Letter], EmailMessage],
    now: Callable[[], datetime],
    *,
    stop: Callable[[], bool] = never,
) -> Delivered:
    """Send every letter that is due. When the server itself fails, the others wait for their next turn untried."""
    done, claimed_any = Delivered(), False
    try:
        while not stop():
            claimed = letterbox.claim_letters(now(), 1, LEASE)
            if not claimed:
                break
            claimed_any = True
            [letter] = claimed
            error = _sent(letter, post, render)
            done += _settled(letterbox, letter, error, now())
            if isinstance(error, ChannelDown):
                break
    finally:
        if claimed_any:
            post.close()
    return done


def _sent(letter: Letter, post: Post, render: Callable[[Letter], EmailMessage]) -> DeliveryError | None:
    try:
        post.post(render(letter))
    except DeliveryError as error:
        return error
    except Exception as error:  # a bug must not stand before all other letters for ever
        log.exception("letter %d", letter.id)
        return DeliveryError(f"{type(error).__name__}: {error}", permanent=False)
    return None


def _settled(letterbox: Letterbox, letter: Letter, error: DeliveryError | None, at: datetime) -> Delivered:
    if error is None:
        letterbox.settle_letter_sent(letter.id, at)
        return Delivered(sent=1)
    again = None
    if not error.permanent:
        again = retry_at(letter.attempts, at, letter.created_at, channel_down=isinstance(error, ChannelDown))
    letterbox.settle_letter_failed(letter.id, line(str(error), 500), again)
    # Without the address: a log is kept for longer than a subscriber may want.
    log.warning(
        "letter %d (%s) not delivered (attempt %d): %s; %s",
        letter.id,
        letter.kind.value,
        letter.attempts,
        line(str(error), 200),
        f"next attempt {again:%Y-%m-%d %H:%M} UTC" if again else "given up",
    )
    return Delivered(failed=1) if again else Delivered(dead=1)
