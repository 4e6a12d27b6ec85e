"""The page of one change: what it means, where it says so, every word that went or came, and the evidence."""

from __future__ import annotations

import difflib

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from tosmon.clauses import join
from tosmon.publish import document_feed, service_feed
from tosmon.publish.links import change_path, on
from tosmon.web.evidence import attachment, evidence_of
from tosmon.web.operator import TheSession, said_of
from tosmon.web.site import TheSite, change_of

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/changes/{change_id:int}")
def change(
    site: TheSite, session: TheSession, change_id: int, view: str = "inline", quiet: str = "", said: str = ""
) -> Response:
    found = change_of(site, change_id)
    alerts = site.browse.alerts_of(change_id)
    return site.render(
        "change.html",
        title=found.headline,
        feeds=(document_feed(found.key, found.service_name), service_feed(found.key.service, found.service_name)),
        session=session,
        said=said_of(session, said),
        change=found,
        side_by_side=view == "side",
        everything=quiet == "1",
        layout=site.layout(found.before_id, found.after_id, found.flags, everything=quiet == "1"),
        before=site.browse.version(found.before_id),
        after=site.browse.version(found.after_id),
        alerts=alerts,
        rejudged=site.archive.findings.rejudged(change_id=change_id),
        evidence=[(version_id, evidence_of(site, version_id)) for version_id in (found.after_id, found.before_id)],
        permalink=on(site.settings.site_url, change_path(change_id)),
    )


@router.get("/changes/{change_id:int}/patch")
def patch(site: TheSite, change_id: int) -> Response:
    """The change as a unified patch of the stored Markdown, for those who work with such tools."""
    found = change_of(site, change_id)
    ids = (found.before_id, found.after_id)
    before, after = (join(site.browse.clauses(version_id)).splitlines(keepends=True) for version_id in ids)
    names = [f"version-{version_id}.md" for version_id in ids]
    body = "".join(
        text if text.endswith("\n") else f"{text}\n\\ No newline at end of file\n"
        for text in difflib.unified_diff(before, after, names[0], names[1])
    )
    return attachment(body.encode("utf-8", "surrogatepass"), f"change-{change_id}.patch", "text/x-diff")
