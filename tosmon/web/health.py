"""Never blind in silence: what cannot be read, when each document was last seen whole, and whether we look at all."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import HTMLResponse, JSONResponse, Response

from tosmon.archive.rows import Pulse
from tosmon.model import ChangeState
from tosmon.publish import INCIDENTS
from tosmon.web.pieces import feed_path
from tosmon.web.site import Site, TheSite

router = APIRouter()

_CLOSED = 30
_SHOWN = 100
_HELD_BACK = 20


class Health(BaseModel):
    """`status` is "ok", "late" when documents wait for a look for too long (nobody looks), or "blind" when none of
    them can be read (a network that is down, an address that all platforms refuse).

    `incidents_feed` tells of each incident as it opens and closes.
    """

    status: str
    documents: int
    open_incidents: int
    incidents_feed: str
    last_checked_at: datetime | None
    next_due_at: datetime | None


@router.get("/health", response_model=Health, responses={503: {"model": Health}}, tags=["health"])
def health(site: TheSite) -> Response:
    """For whoever watches over the monitor: 200 while documents are looked at in time and read, 503 when they are not."""
    pulse = site.browse.pulse()
    status = status_of(pulse, site)
    body = Health(
        status=status,
        documents=pulse.documents,
        open_incidents=pulse.open_incidents,
        incidents_feed=feed_path(INCIDENTS),
        last_checked_at=pulse.last_checked_at,
        next_due_at=pulse.next_due_at,
    )
    return JSONResponse(body.model_dump(mode="json"), 200 if status == "ok" else 503)


def status_of(pulse: Pulse, site: Site) -> str:
    """What `Health.status` says."""
    if pulse.next_due_at is not None and site.clock() - pulse.next_due_at > site.settings.late_after:
        return "late"
    return "blind" if 0 < pulse.documents <= pulse.unread else "ok"


@router.get("/incidents", response_class=HTMLResponse, include_in_schema=False)
def incidents(site: TheSite) -> Response:
    pulse = site.browse.pulse()
    every = site.browse.incidents(open_only=False, limit=_CLOSED + 200)
    longest_ago, declared = site.browse.longest_unseen(_SHOWN)
    return site.render(
        "incidents.html",
        title="Incidents",
        pulse=pulse,
        health=status_of(pulse, site),
        feed=INCIDENTS,
        incidents=site.browse.incidents(),
        closed=[one for one in every if one.closed_at is not None][:_CLOSED],
        documents=longest_ago,
        left_out=declared - len(longest_ago),
        held_back=site.browse.changes(states=(ChangeState.SUPPRESSED, ChangeState.PENDING), limit=_HELD_BACK),
        volatile=site.archive.operating.volatile()[:_SHOWN],
    )
