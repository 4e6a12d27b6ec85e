"""One version whole: contents, text, and for every clause since when it stands and which change brought it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, HTTPException
from markupsafe import Markup
from starlette.responses import FileResponse, HTMLResponse, Response

from tosmon.archive import ChangeMark, VersionRow
from tosmon.clauses import join, plain
from tosmon.model import Clause, ClauseKind
from tosmon.publish.links import on, version_path
from tosmon.web.aligned import number_of
from tosmon.web.evidence import attachment, disposition, evidence_of
from tosmon.web.filters import LARGEST
from tosmon.web.site import SHOWN, Site, TheSite, document_of, feeds_of
from tosmon.web.wording import html, wording

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@dataclass(frozen=True, slots=True)
class Since:
    """From when clauses stand, and the change that brought them; `None` for those of the first version we hold."""

    at: datetime
    version_id: int
    change_id: int | None
    is_first: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """A clause as it stands in a version. `since` is given where it differs from that of the clause above."""

    number: int
    kind: ClauseKind
    level: int
    marker: str
    text: Markup
    title: str
    since: Since | None
    recent: bool


@router.get("/versions/{version_id:int}")
def version(site: TheSite, version_id: int) -> Response:
    return shown_version(site, version_id)


def shown_version(site: Site, version_id: int, asked_at: datetime | None = None) -> Response:
    found = _version(site, version_id)
    document = document_of(site, found.key.service, found.key.type)
    changes = site.browse.change_marks(document.id)
    following = site.browse.version(found.next_id) if found.next_id else None
    standing = _standing(site, found, changes)
    return site.render(
        "version.html",
        title=f"{document.service_name}: {document.key.type}",
        feeds=feeds_of(document),
        document=document,
        version=found,
        following=following,
        asked_at=asked_at,
        clauses=standing,
        headings=[clause for clause in standing if clause.kind is ClauseKind.HEADING and clause.level <= 3],
        brought_by=_brought(changes).get(found.id),
        evidence=evidence_of(site, found.id),
        permalink=on(site.settings.site_url, version_path(found.id)),
    )


@router.get("/versions/{version_id:int}/text")
def text(site: TheSite, version_id: int) -> Response:
    """The Markdown as it is stored, byte for byte."""
    _version(site, version_id)
    body = join(site.browse.clauses(version_id)).encode("utf-8", "surrogatepass")
    return attachment(body, f"version-{version_id}.md", "text/markdown")


@router.get("/versions/{version_id:int}/evidence/{number:int}.warc.gz")
def warc(site: TheSite, version_id: int, number: int) -> Response:
    """The pages as received. A download, never a page of ours."""
    evidence = evidence_of(site, version_id) if version_id <= LARGEST else ()
    path = evidence[number - 1].path if 1 <= number <= len(evidence) else None
    if path is None:
        raise HTTPException(404, "There is no such snapshot to hand out.")
    name = f"version-{version_id}-{number}.warc.gz"
    return FileResponse(path, media_type="application/warc", headers=disposition(name))


def _version(site: Site, version_id: int) -> VersionRow:
    found = site.browse.version(version_id) if version_id <= LARGEST else None
    if found is None:
        raise HTTPException(404, "There is no version of that number in this archive.")
    return found


def _brought(changes: Sequence[ChangeMark]) -> dict[int, int]:
    """The change that brought each version: one that people were told of, if there is one."""
    brought: dict[int, int] = {}
    for told in (False, True):
        brought |= {change.after_id: change.id for change in changes if told is (change.state in SHOWN)}
    return brought


def _standing(site: Site, version: VersionRow, changes: Sequence[ChangeMark]) -> list[Standing]:
    clauses = site.browse.clauses(version.id)
    since = site.browse.since(version.id)
    brought = _brought(changes)
    first = min((version_id for version_id, _ in since), default=0)
    standing, above = [], None
    for number, (clause, (version_id, at)) in enumerate(zip(clauses, since, strict=True), 1):
        told = None
        if version_id != above:
            told = Since(at, version_id, brought.get(version_id), version_id not in brought and version_id == first)
        above = version_id
        standing.append(_stands(number, clause, told, version_id == version.id and version_id in brought))
    return standing


def _stands(number: int, clause: Clause, since: Since | None, recent: bool) -> Standing:
    return Standing(
        number,
        clause.kind,
        clause.level,
        number_of(clause),
        html(wording(clause.text, clause.kind)),
        plain(clause.text) if clause.kind is ClauseKind.HEADING else "",
        since,
        recent,
    )
