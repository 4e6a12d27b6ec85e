"""What a way of handing over notifications looks like, and how it says that it cannot."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from tosmon.errors import DeliveryError
from tosmon.model import Notification


class Channel(Protocol):
    """A way to hand over notifications, used by one thread at a time for as long as the process lives."""

    most_an_hour: int | None
    """How many single alerts one recipient gets in an hour before the rest goes in a digest; `None`: any number."""

    def send(self, notification: Notification) -> None:
        """Hand it over; returns when the other side has taken it.

        Raises `DeliveryError`: permanent for this recipient, or `ChannelDown` when no recipient can be reached.
        """
        ...

    def close(self) -> None:
        """End of a round: nothing is sent for a while, but it may be used again."""
        ...


class ChannelDown(DeliveryError):
    """The server itself cannot be used now (unreachable, refuses the log-in or the sender), whoever the recipient is."""

    def __init__(self, message: str) -> None:
        super().__init__(message, permanent=False)


class RecipientRefused(DeliveryError):
    """There is no such recipient, and the server says that there will not be."""

    def __init__(self, message: str) -> None:
        super().__init__(message, permanent=True)


class TryLater(DeliveryError):
    """The other side says when it wants to be asked again."""

    def __init__(self, message: str, wait: timedelta | None) -> None:
        super().__init__(message, permanent=False)
        self.wait = wait
