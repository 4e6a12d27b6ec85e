"""Services, their documents, and one document over time."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tosmon.archive import Listed
from tosmon.publish import links, service_feed
from tosmon.web import claims
from tosmon.web.filters import asked
from tosmon.web.operator import TheSession, said_of
from tosmon.web.pictures import calendar, calendar_start, story
from tosmon.web.profile import lanes_of
from tosmon.web.site import SHOWN, TheSite, document_of, feeds_of
from tosmon.web.times import instant, start_of
from tosmon.web.versions import shown_version

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

AT_ONCE = 40
_TO_COMPARE = 60
_CHECKS = 30


@router.get("/services")
def services(site: TheSite) -> Response:
    documents: dict[str, list[Listed]] = {}
    for document in site.browse.catalogue():
        documents.setdefault(document.key.service, []).append(document)
    return site.render("services.html", title="Services", services=site.browse.services(), documents=documents)


@router.get("/services/{service}")
def one_service(site: TheSite, service: str) -> Response:
    documents = site.browse.documents(service)
    if not documents:
        raise HTTPException(404, "There is no such service in this archive.")
    today = site.clock().date()
    name = documents[0].service_name
    looked_from = site.browse.first_text_at(service)
    activity = site.browse.activity(start_of(calendar_start(today)), service)
    return site.render(
        "service.html",
        title=name,
        feeds=(service_feed(service, name),),
        service=service,
        name=name,
        documents=documents,
        changes=site.browse.changes(service=service, limit=AT_ONCE),
        profile=next(iter(site.archive.findings.profiles(service=service, today=today)), None),
        profile_path=links.profile_path(service),
        lanes=lanes_of(site, service, documents),
        claims=claims,
        calendar=calendar(activity, today, looked_from.date() if looked_from else None),
    )


@router.get("/services/{service}/{type}")
def document(site: TheSite, session: TheSession, request: Request, service: str, type: str, said: str = "") -> Response:
    """One document over time: what changed, what was not told and why, when it was last seen whole."""
    found = document_of(site, service, type)
    query = asked(request.query_params)
    everything = request.query_params.get("all") == "1"
    rows = site.browse.changes(
        service=service, type=type, told_only=not everything, before_id=query.before, limit=AT_ONCE + 1
    )
    versions = site.browse.version_marks(found.id)
    marks = site.browse.change_marks(found.id)
    incidents = [one for one in site.browse.incidents() if one.key == found.key]
    shown, more = rows[:AT_ONCE], rows[AT_ONCE:]
    return site.render(
        "document.html",
        title=f"{found.service_name}: {found.key.type}",
        feeds=feeds_of(found),
        session=session,
        said=said_of(session, said),
        document=found,
        changes=shown,
        newest=query.before is None,
        older=f"?{'all=1&' if everything else ''}before={shown[-1].id}" if more else None,
        everything=everything,
        untold=sum(mark.state not in SHOWN for mark in marks),
        versions=versions,
        story=story(versions, marks, site.clock()),
        to_compare=versions[::-1][:_TO_COMPARE],
        checks=site.browse.checks(found.key, _CHECKS),
        incident=incidents[0] if incidents else None,
    )


# --- other ways to look at it ---------------------------------------------------------------------------------------


@router.get("/services/{service}/{type}/at")
def choose_day(site: TheSite, service: str, type: str, on: str = "") -> Response:
    """The form "text on a day" comes here and is sent on to the address that can be kept."""
    found = document_of(site, service, type)
    if instant(on) is None:
        raise HTTPException(404, "Choose a day, written as 2024-11-01.")
    return RedirectResponse(f"{links.document_path(found.key)}/at/{quote(on, safe='')}", 303)


@router.get("/services/{service}/{type}/at/{when}")
def at(site: TheSite, service: str, type: str, when: str) -> Response:
    """The text in force at a date (its last moment, in UTC) or at an instant."""
    found = document_of(site, service, type)
    moment = instant(when)
    if moment is None:
        raise HTTPException(404, "That is no day or time: write 2024-11-01 or 2024-11-01T12:00Z.")
    version = site.browse.version_at(found.key, moment)
    if version is None:
        first = site.browse.version_marks(found.id)[:1]
        return site.render(
            "before_first.html",
            title="No text of that day",
            status=404,
            document=found,
            moment=moment,
            first=first[0] if first else None,
        )
    return shown_version(site, version.id, asked_at=moment)


@router.get("/{service}/{type}/at/{when}")
def at_in_short(site: TheSite, service: str, type: str, when: str) -> Response:
    """The same address without `/services`, as people write it from memory."""
    found = document_of(site, service, type)
    return RedirectResponse(f"{links.document_path(found.key)}/at/{quote(when, safe='')}", 308)


@router.get("/services/{service}/{type}/compare")
def compare(
    site: TheSite, request: Request, service: str, type: str, view: str = "inline", quiet: str = ""
) -> Response:
    """Any two versions of a document, the older one first."""
    found = document_of(site, service, type)
    pair = [_version_id(request.query_params.get(name, "")) for name in ("from", "to")]
    rows = [site.browse.version(version_id) if version_id else None for version_id in pair]
    before, after = rows
    if before is None or after is None or before.key != found.key or after.key != found.key:
        raise HTTPException(404, "Choose two versions of this document.")
    if (before.at, before.id) > (after.at, after.id):  # imports record older texts later
        before, after = after, before
    side_by_side = view == "side"
    return site.render(
        "compare.html",
        title=f"{found.service_name}: {found.key.type}, two versions compared",
        feeds=feeds_of(found),
        document=found,
        before=before,
        after=after,
        side_by_side=side_by_side,
        everything=quiet == "1",
        layout=site.layout(before.id, after.id, everything=quiet == "1"),
    )


def _version_id(written: str) -> int | None:
    return int(written) if written.isascii() and written.isdigit() and len(written) < 19 else None
