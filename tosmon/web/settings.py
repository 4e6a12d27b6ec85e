"""What the web is told once, when it starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from tosmon.archive import AskingLimits
from tosmon.model import TermsKey
from tosmon.publish import FeedSettings
from tosmon.publish.signed import Signer


@dataclass(frozen=True, slots=True)
class Subscribing:
    """How people subscribe by mail. `signer` makes and knows their links.

    `sends` is whether mail is configured, `open` whether new addresses are taken; links in mails work without both.
    """

    signer: Signer
    sends: bool = True
    open: bool = True
    limits: AskingLimits = field(default_factory=AskingLimits)


@dataclass(frozen=True, slots=True)
class Operator:
    """What whoever knows the token may do beyond reading. What is `None` cannot be done by this server.

    `release` and `mark_as_noise` take the id of a change and tell whether anything was done; `pin` takes a document and a
    sentence of its latest text. All raise TosmonError. `declared_paused` are the documents that the configuration pauses.
    """

    token: str = field(repr=False)
    release: Callable[[int], bool] | None = None
    mark_as_noise: Callable[[int], bool] | None = None
    pin: Callable[[TermsKey, str], object] | None = None
    declared_paused: frozenset[TermsKey] = frozenset()


@dataclass(frozen=True, slots=True)
class WebSettings:
    """How the archive presents itself.

    `site_url` is where readers find it: citations and feeds lead there. `public` is the folder with the feeds as files;
    a feed that is not there is written on the spot when `feeds` is given. `snapshots` is the folder of WARC files,
    without it there are no downloads. `late_after` is how long a document may wait for its look before `/health` warns.
    `static` makes pages that need no server.
    """

    title: str = "tosmon"
    site_url: str = "http://127.0.0.1:8765"
    public: Path | None = None
    snapshots: Path | None = None
    feeds: FeedSettings | None = None
    late_after: timedelta = timedelta(hours=2)
    subscribing: Subscribing | None = None
    operator: Operator | None = None
    static: bool = False
