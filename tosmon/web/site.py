"""What all routes share: the archive to read, the settings, the clock, the templates."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from importlib.resources import files
from threading import Lock
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from tosmon.archive import Archive, ChangeRow, TermsRow
from tosmon.archive.browse import Browse
from tosmon.clauses import plain
from tosmon.compare import compare
from tosmon.model import ChangeState, Direction, Flag, Severity, TermsKey
from tosmon.publish import ALL, Shelf, document_feed, links, service_feed, style
from tosmon.publish.feeds import Feed
from tosmon.publish.text import line, visible, web_address
from tosmon.publish.words import DIRECTION, KIND, applies, day, moment, topic_name
from tosmon.web import aligned, pictures, pieces, times
from tosmon.web.aligned import Layout
from tosmon.web.claims import lowered
from tosmon.web.filters import LARGEST
from tosmon.web.sessions import Sessions
from tosmon.web.settings import WebSettings

# As far as a page itself can say it: what may frame it only a server can.
STATIC_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; form-action 'none'; base-uri 'none'"
)


@lru_cache(maxsize=1)
def static() -> Mapping[str, tuple[bytes, str]]:
    """Our style sheet, script and icon: (body, media type) by name."""
    folder = files("tosmon.web") / "static"
    css = (folder / "style.css").read_text(encoding="utf-8")
    light, dark = style.custom_properties(style.LIGHT), style.custom_properties(style.DARK)
    colours = f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
    fonts = f":root {{ --sans: {style.SANS}; --serif: {style.SERIF}; }}\n"
    return {
        "style.css": ((colours + fonts + css).encode(), "text/css; charset=utf-8"),
        "script.js": ((folder / "script.js").read_bytes(), "text/javascript; charset=utf-8"),
        "icon.svg": ((folder / "icon.svg").read_bytes(), "image/svg+xml"),
    }


@lru_cache(maxsize=16)
def static_url(name: str) -> str:
    """Where it is served, with a mark of its content: a new one has a new address, so it is kept for ever."""
    return f"/static/{hashlib.sha256(static()[name][0]).hexdigest()[:10]}/{name}"


STATE = {
    ChangeState.PENDING: ("Waits for a second look", "It was seen once; people are told when it is still there."),
    ChangeState.SUPPRESSED: ("Nobody was told", "It is kept, but it is no news."),
    ChangeState.GONE: ("Gone again", "It was no longer there at the second look, so nobody was told."),
    ChangeState.HISTORIC: ("From history", "It was found in an imported history, so nobody was told at the time."),
    ChangeState.WITHDRAWN: ("Taken back", "People were told, then the platform went back to the earlier text."),
}
"""For every state but told: words for it, and a sentence."""

SHOWN = frozenset((ChangeState.TOLD, ChangeState.WITHDRAWN, ChangeState.HISTORIC))
"""The states of changes that stand in lists without being asked for."""


@dataclass(frozen=True)
class Site:
    archive: Archive
    settings: WebSettings
    clock: Callable[[], datetime]

    @property
    def browse(self) -> Browse:
        return self.archive.browse

    def layout(
        self, before_id: int, after_id: int, flags: tuple[Flag, ...] = (), *, everything: bool = False
    ) -> Layout:
        """How two versions differ, laid out. They and the flags never change, so the latest ones asked for are kept."""
        return self._layouts(before_id, after_id, flags, everything)

    @cached_property
    def _layouts(self) -> Callable[[int, int, tuple[Flag, ...], bool], Layout]:
        def made(before_id: int, after_id: int, flags: tuple[Flag, ...], everything: bool) -> Layout:
            comparison = compare(self.browse.clauses(before_id), self.browse.clauses(after_id))
            return aligned.layout(comparison, flags, everything=everything)

        kept = lru_cache(maxsize=32)(made)
        # A long text takes seconds to lay out: whoever asks for the same meanwhile waits for it and makes none of their own.
        locks = tuple(Lock() for _ in range(16))

        def once(before_id: int, after_id: int, flags: tuple[Flag, ...], everything: bool) -> Layout:
            with locks[hash((before_id, after_id, everything)) % len(locks)]:
                return kept(before_id, after_id, flags, everything)

        return once

    @cached_property
    def sessions(self) -> Sessions | None:
        operator = self.settings.operator
        return Sessions(operator.token, self.archive.operating.sessions_ended) if operator else None

    @cached_property
    def shelf(self) -> Shelf | None:
        return Shelf(self.settings.public) if self.settings.public else None

    def render(
        self, template: str, *, title: str = "", feeds: tuple[Feed, ...] = (), status: int = 200, **context: Any
    ) -> HTMLResponse:
        """A page. `feeds` are those of its own that readers' programs find, beside the feed of everything."""
        now = self.clock()
        body = (
            templates()
            .get_template(template)
            .render(
                site=self.settings,
                title=title,
                feeds=feeds,
                now=now,
                when=pieces.exact if self.settings.static else lambda at: pieces.when(at, now),
                **context,
            )
        )
        return HTMLResponse(body, status, {"Cache-Control": "no-store"} if context.get("session") else None)


@lru_cache(maxsize=1)
def templates() -> Environment:
    """Our templates, compiled: that takes longer than to fill them, so it is done before anybody asks."""
    environment = Environment(
        loader=PackageLoader("tosmon.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        finalize=_shown,
    )
    environment.filters.update(
        day=day,
        moment=moment,
        topic=topic_name,
        plain=plain,
        line=line,
        lowered=lowered,
        thousands=lambda number: f"{number:,}",
    )
    environment.globals.update(
        static_url=static_url,
        static_policy=STATIC_POLICY,
        directions=DIRECTION,
        kinds=KIND,
        states=STATE,
        all_feed=ALL,
        Direction=Direction,
        Severity=Severity,
        ChangeState=ChangeState,
        applies=applies,
        exact=pieces.exact,
        on_day=pieces.on_day,
        severity=pieces.severity,
        direction=pieces.direction,
        days_until=times.days_until,
        change_path=links.change_path,
        service_path=links.service_path,
        document_path=pieces.document_path,
        version_path=links.version_path,
        feed_path=pieces.feed_path,
        feed_links=pieces.feed_links,
        short_headline=short_headline,
        foremost=pictures.foremost,
        number_of=aligned.number_of,
        web_address=web_address,
    )
    for name in environment.list_templates():
        environment.get_template(name)
    return environment


def _shown(value: Any) -> Any:
    """Every text that a template writes loses what no reader can see; markup of ours stays as it is."""
    # Most texts hold nothing of the kind, and `isprintable` knows that ten times as fast as `visible`.
    return visible(value) if type(value) is str and not value.isprintable() else value


async def _site(request: Request) -> Site:  # async: it is no work for a thread
    site: Site = request.app.state.site
    return site


TheSite = Annotated[Site, Depends(_site)]


# --- finding what was asked for, or 404 -----------------------------------------------------------------------------


def document_of(site: Site, service: str, type: str) -> TermsRow:
    found = site.browse.document(TermsKey(service, type))
    if found is None:
        raise HTTPException(404, "There is no such document in this archive.")
    return found


def change_of(site: Site, change_id: int) -> ChangeRow:
    found = site.browse.change(change_id) if change_id <= LARGEST else None
    if found is None:
        raise HTTPException(404, "There is no change of that number in this archive.")
    return found


# --- addresses and names --------------------------------------------------------------------------------------------


def feeds_of(document: TermsRow) -> tuple[Feed, ...]:
    return (
        document_feed(document.key, document.service_name),
        service_feed(document.key.service, document.service_name),
    )


def short_headline(change: ChangeRow) -> str:
    """The headline without the name of its document, for places that say it already."""
    for name in (change.service_name, change.key.service):
        start = f"{name} {change.key.type}: "
        if change.headline.startswith(start) and len(change.headline) > len(start):
            rest = change.headline[len(start) :]
            return rest[0].upper() + rest[1:]
    return change.headline
