"""Our own style sheet, script and icon, and what robots are told."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException
from starlette.responses import Response

from tosmon.web.site import static as static_files
from tosmon.web.site import static_url

router = APIRouter(include_in_schema=False)


@router.get("/static/{mark}/{name}")
def static(mark: str, name: str) -> Response:
    if name not in static_files() or static_url(name) != f"/static/{mark}/{name}":
        raise HTTPException(404, "There is no such file.")
    body, media_type = static_files()[name]
    return Response(body, media_type=media_type, headers={"Cache-Control": "public, max-age=31536000, immutable"})


@router.get("/favicon.ico")
def favicon() -> Response:
    body, media_type = static_files()["icon.svg"]
    return Response(body, media_type=media_type)


@router.get("/robots.txt")
def robots() -> Response:
    return Response("User-agent: *\nDisallow: /services/*/compare\n", media_type="text/plain; charset=utf-8")
