"""What a check works with: the places that touch the world, and the choices of the configuration, wired once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tosmon.archive import Archive, Identity, Snapshots
from tosmon.fetch import Fetcher
from tosmon.judge import Rules
from tosmon.model import Alert


@dataclass(frozen=True, slots=True)
class World:
    """`addressees` says who gets an alert (channel, recipient); `confirm_after` of zero tells people at first sight."""

    archive: Archive
    snapshots: Snapshots
    fetcher: Fetcher
    rules: Rules
    identity: Identity
    addressees: Callable[[Alert], Sequence[tuple[str, str]]]
    clock: Callable[[], datetime]
    confirm_after: timedelta = timedelta(minutes=10)
