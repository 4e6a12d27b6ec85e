"""Hand over what people are told: the outbox is emptied by channels, each settled by what became of it.

`rounds` claims, sends and settles notifications, `letters` the mails to subscribers that are no alerts; `channel` says
what a way of delivery is; `smtp` and `hooks` are such ways. Knows no SQL (the archive keeps the outbox) and no layout
(publish renders).
"""

from __future__ import annotations

from tosmon.deliver.channel import Channel, ChannelDown, RecipientRefused, TryLater
from tosmon.deliver.letters import deliver_letters
from tosmon.deliver.rounds import (
    LEASE,
    PATIENCE,
    REFUSALS,
    Delivered,
    Outbox,
    Suspend,
    deliver_by,
    deliver_due,
    put_off_unknown,
    retry_at,
    suspend_nobody,
)
from tosmon.deliver.smtp import SmtpChannel, SmtpSettings

__all__ = [
    "LEASE",
    "PATIENCE",
    "REFUSALS",
    "Channel",
    "ChannelDown",
    "Delivered",
    "Outbox",
    "RecipientRefused",
    "SmtpChannel",
    "SmtpSettings",
    "Suspend",
    "TryLater",
    "deliver_by",
    "deliver_due",
    "deliver_letters",
    "put_off_unknown",
    "retry_at",
    "suspend_nobody",
]
