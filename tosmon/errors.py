"""What can go wrong, as types.

Callers decide by type, never by the words of a message: a time-out is tried again, a refused address
is not, a bad configuration stops everything before anything starts. Messages say what happened, to
what, and what to do next.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum


class TosmonError(Exception):
    """Something a person can act on; the command line prints it as one line and exits with 1."""


class ConfigError(TosmonError):
    """The configuration cannot be used; the message has one line for each place that must be mended."""


class ArchiveError(TosmonError):
    """The archive cannot be read or written as asked (missing, newer than this tosmon, disk full, damaged)."""


class DeclarationError(TosmonError):
    """A declaration (ours or Open Terms Archive's) cannot be understood."""


class RuleError(TosmonError):
    """A rule pack cannot be used; the message names the file, the rule and the fix."""


class ExtractionError(TosmonError):
    """Bytes that cannot be read as the format they claim (a broken or encrypted PDF, a scan, …)."""


class FetchProblem(StrEnum):
    """Why no answer could be had. An answer with an error status is no FetchProblem: see model.Verdict."""

    DNS = "dns"
    CONNECTION = "connection"
    TIMEOUT = "timeout"
    TLS = "tls"
    TOO_LARGE = "too large"
    REDIRECTS = "too many redirects"
    FORBIDDEN_ADDRESS = "forbidden address"
    FORBIDDEN_BY_ROBOTS = "forbidden by robots.txt"
    SCHEME = "unsupported scheme"
    PROTOCOL = "broken answer"
    NO_BROWSER = "no browser"


class FetchError(TosmonError):
    """No usable answer came for `url`.

    `transient` means that the same request may well succeed later; `retry_after` is what the server asked for.
    """

    def __init__(
        self,
        url: str,
        message: str,
        problem: FetchProblem,
        *,
        transient: bool = True,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(f"{url}: {message}")
        self.url = url
        self.problem = problem
        self.transient = transient
        self.retry_after = retry_after


class DeliveryError(TosmonError):
    """A notification could not be handed over; `permanent` errors are not tried again for this recipient."""

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent
