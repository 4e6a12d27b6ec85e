"""Old addresses of services that go by another name now: they lead to the new ones, for ever."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from urllib.parse import quote

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from tosmon.publish.feeds import file_name

_KEEP = 30.0  # seconds: names change once in years
_BEFORE_A_SERVICE = ("services", "profiles", "service", "document")


class FormerNames:
    """Answers requests for a former name with 301 and the address under the name of today."""

    def __init__(self, app: ASGIApp, former: Callable[[], Mapping[str, str]]) -> None:
        self._app = app
        self._ask = former
        self._known: Mapping[str, str] = {}
        self._asked = float("-inf")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            to = moved_to(scope["path"], self._former())
            if to is not None:
                query = scope["query_string"].decode("latin-1")
                await RedirectResponse(to + (f"?{query}" if query else ""), 301)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _former(self) -> Mapping[str, str]:
        now = time.monotonic()
        if now - self._asked > _KEEP:
            self._known, self._asked = self._ask(), now
        return self._known


def moved_to(path: str, former: Mapping[str, str]) -> str | None:
    """The path under the name of today, within this site; `None` when it names no service that had another."""
    if not former:
        return None
    segments = path.split("/")[1:]
    if not {"", ".", ".."}.isdisjoint(segments):  # "//evil.example/…" is an address of its own, and no path of ours
        return None
    names = {file_name(old): file_name(new) for old, new in former.items()} if segments[:1] == ["feeds"] else former
    for place, segment in enumerate(segments):
        if place and segments[place - 1] not in _BEFORE_A_SERVICE:
            continue
        stem, dot, suffix = segment.rpartition(".") if segments[:2] == ["feeds", "service"] else (segment, "", "")
        if stem in names:
            segments[place] = names[stem] + dot + suffix
            # Each part is encoded and none is empty, so "//evil.example" can never come of it.
            return "/" + "/".join(quote(one, safe="") for one in segments)
    return None
