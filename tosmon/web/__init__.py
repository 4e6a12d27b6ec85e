"""Browse the archive: what changed, for whom, from when, with the evidence.

Server-rendered and whole without JavaScript. It reads the archive, writes what subscribers choose (`subscribing`) and what
whoever runs it decides (`operator`), and never fetches or sends. Text of strangers is escaped wherever it is shown, and
what was received is handed out as a download, never as a page of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from urllib.parse import quote

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from tosmon import __version__
from tosmon.archive import Archive
from tosmon.web import (
    api,
    assets,
    changes,
    documents,
    feeds,
    health,
    latest,
    operator,
    profile,
    profile_api,
    searching,
    subscribing,
    versions,
)
from tosmon.web.moved import FormerNames
from tosmon.web.serving import Serving
from tosmon.web.settings import Operator, Subscribing, WebSettings
from tosmon.web.site import Site, templates

__all__ = ["Operator", "Subscribing", "WebSettings", "app"]


def app(archive: Archive, settings: WebSettings, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> FastAPI:
    """The web of an archive, as an ASGI application. `clock` tells the time that "3 hours ago" is counted from."""
    site = Site(archive, settings, clock)
    templates()
    made = FastAPI(
        title=settings.title,
        version=__version__,
        description="Terms of platforms, their versions and changes, as this archive recorded them.",
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/openapi.json",
        redirect_slashes=False,  # its redirect repeats the host that was asked for; see _refused
    )
    made.state.site = site
    for part in (
        latest,
        assets,
        documents,
        profile,
        changes,
        versions,
        searching,
        subscribing,
        feeds,
        health,
        operator,
        api,
        profile_api,
    ):
        made.include_router(part.router)
    made.add_exception_handler(HTTPException, _refused)
    made.add_middleware(Serving, broken=lambda path: _said(site, path, 500, ""), state=lambda: _state(site))
    made.add_middleware(FormerNames, former=archive.identities.former)
    return made


def _state(site: Site) -> Hashable:
    """What pages are made from: what is in the archive, and the minute, from which "3 hours ago" is counted."""
    version = site.browse.state()
    return None if version is None else (version, site.clock().replace(second=0, microsecond=0))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == 404 and path.endswith("/") and path.strip("/") and not path.startswith("/api/"):
        # Within this site, whatever the path: "//evil.example/" must not become an address of its own.
        return RedirectResponse("/" + quote(path.strip("/")), 308)
    site: Site = request.app.state.site
    answer = _said(site, path, error.status_code, error.detail)
    answer.headers.update(error.headers or {})
    return answer


def _said(site: Site, path: str, status: int, detail: str) -> Response:
    """What went wrong and where to go from here: JSON for programs, a page for people."""
    if path.startswith("/api/"):
        return JSONResponse({"detail": detail or "Something broke on our side."}, status)
    title = {404: "Not found", 405: "Not allowed", 500: "Something broke"}.get(status, "That did not work")
    # Says nothing of the archive: it may be what broke.
    return site.render("refused.html", title=title, status=status, code=status, detail=detail)
