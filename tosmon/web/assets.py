"""Our own style sheet, script and icon, and what robots are told."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException
from starlette.responses import Response

from tosmon.web.site import TheSite

router = APIRouter(include_in_schema=False)


@router.get("/static/{mark}/{name}")
def static(site: TheSite, mark: str, name: str) -> Response:
    if name not in site.static or site.static_url(name) != f"/static/{mark}/{name}":
        raise HTTPException(404, "There is no such file.")
    body, media_type = site.static[name]
    return Response(body, media_type=media_type, headers={"Cache-Control": "public, max-age=31536000, immutable"})


@router.get("/favicon.ico")
def favicon(site: TheSite) -> Response:
    body, media_type = site.static["icon.svg"]
    return Response(body, media_type=media_type)


@router.get("/robots.txt")
def robots() -> Response:
    return Response("User-agent: *\nDisallow: /services/*/compare\n", media_type="text/plain; charset=utf-8")
