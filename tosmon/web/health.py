"""Never blind in silence: what cannot be read, when each document was last seen whole, and whether we look at all."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import HTMLResponse, JSONResponse, Response

from tosmon.web.site import TheSite

router = APIRouter()

_CLOSED = 30
_SHOWN = 100


class Health(BaseModel):
    """`status` is "ok", or "late" when documents wait for a look for too long: then nobody looks."""

    status: str
    documents: int
    open_incidents: int
    last_checked_at: datetime | None
    next_due_at: datetime | None


@router.get("/health", response_model=Health, responses={503: {"model": Health}}, tags=["health"])
def health(site: TheSite) -> Response:
    """For whoever watches over the monitor: 200 while documents are looked at in time, 503 when they are not."""
    pulse = site.browse.pulse()
    late = pulse.next_due_at is not None and site.clock() - pulse.next_due_at > site.settings.late_after
    body = Health(
        status="late" if late else "ok",
        documents=pulse.documents,
        open_incidents=pulse.open_incidents,
        last_checked_at=pulse.last_checked_at,
        next_due_at=pulse.next_due_at,
    )
    return JSONResponse(body.model_dump(mode="json"), 503 if late else 200)


@router.get("/incidents", response_class=HTMLResponse, include_in_schema=False)
def incidents(site: TheSite) -> Response:
    pulse = site.browse.pulse()
    every = site.browse.incidents(open_only=False, limit=_CLOSED + 200)
    declared = [one for one in site.browse.documents() if one.declared]
    never = datetime.min.replace(tzinfo=UTC)
    longest_ago = sorted(declared, key=lambda one: one.last_whole_at or never)[:_SHOWN]
    return site.render(
        "incidents.html",
        title="Incidents",
        pulse=pulse,
        late=pulse.next_due_at is not None and site.clock() - pulse.next_due_at > site.settings.late_after,
        incidents=site.browse.incidents(),
        closed=[one for one in every if one.closed_at is not None][:_CLOSED],
        documents=longest_ago,
        left_out=len(declared) - len(longest_ago),
    )
