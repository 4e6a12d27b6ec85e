"""The forms of our own pages: their fields, read within bounds, and the refusal of those that other sites send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

from fastapi import Depends, HTTPException, Request

from tosmon.web.site import TheSite

_LARGEST_FORM = 64_000  # bytes: every box of a large archive ticked, several times over
_MOST_FIELDS = 2000

Form = Mapping[str, list[str]]


async def _form(request: Request) -> Form:
    """The fields of a form. Read here and not by a library, as all we take is short text; raises 413 and 415."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/x-www-form-urlencoded", ""):
        raise HTTPException(415, "This address takes the form of its page and nothing else.")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST_FORM:
            raise HTTPException(413, "That is more than the form can hold.")
    try:
        return parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise HTTPException(413, "That is more than the form can hold.") from error


def _of_this_site(request: Request, site: TheSite) -> None:
    """Refuse forms that other sites send in a reader's name.

    Readers have no cookie that could be misused, and their links are secret; the operator's forms carry a proof. But a
    browser that says where it comes from is believed. `Origin: null` says nothing: it is what our own Referrer-Policy
    makes of every form.
    """
    origin = request.headers.get("origin", "null")
    ours = {request.headers.get("host", ""), urlsplit(site.settings.site_url).netloc}
    foreign = request.headers.get("sec-fetch-site") in ("cross-site", "same-site")
    if foreign or (origin != "null" and urlsplit(origin).netloc not in ours):
        raise HTTPException(403, "This form was sent from another site. Open the page here and send it again.")


def _of_our_login(request: Request) -> None:
    """Refuse a login that says nothing of where it came from: else any site could try tokens in its readers' names.

    Our own says it, for its page is sent with a Referrer-Policy that lets browsers do so.
    """
    if request.headers.get("origin") == "null" and request.headers.get("sec-fetch-site") != "same-origin":
        raise HTTPException(403, "This form was sent from another site. Open the page here and send it again.")


TheForm = Annotated[Form, Depends(_form)]
OURS = [Depends(_of_this_site)]
OUR_LOGIN = [*OURS, Depends(_of_our_login)]


def field(form: Form, name: str) -> str:
    """What is written in a field, without the space around it; empty where there is no such field."""
    return next(iter(form.get(name, ())), "").strip()
