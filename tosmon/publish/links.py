"""Where each thing is browsed: the one place that feeds, mail and web take addresses from.

Links in mails live for ever, so a path here is added to, never changed.
"""

from __future__ import annotations

from urllib.parse import quote

from tosmon.model import TermsKey


def change_path(change_id: int) -> str:
    return f"/changes/{change_id}"


def version_path(version_id: int) -> str:
    return f"/versions/{version_id}"


def service_path(service: str) -> str:
    return f"/services/{_part(service)}"


def document_path(key: TermsKey) -> str:
    return f"{service_path(key.service)}/{_part(key.type)}"


def profile_path(service: str) -> str:
    return f"/profiles/{_part(service)}"


def _part(key: str) -> str:
    # Keys are names of files and types: one that is longer leads nowhere, and must not make a mail of a megabyte.
    return quote(key[:300], safe="", errors="replace")


def on(site_url: str, path: str) -> str:
    """The path on that site, whether or not the site's address ends in a slash."""
    return site_url.rstrip("/") + path


# --- subscriptions: each token is a signed one of `publish.signed` ---------------------------------------------------


def confirm_path(token: str) -> str:
    return f"/subscribe/confirm/{token}"


def choices_path(token: str) -> str:
    return f"/subscription/{token}"


def unsubscribe_path(token: str) -> str:
    return f"/unsubscribe/{token}"


def mute_path(token: str) -> str:
    return f"/mute/{token}"
