"""What a version was read from: the snapshots, their digests, and the files themselves as downloads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from starlette.responses import Response

from tosmon.web.site import Site


@dataclass(frozen=True, slots=True)
class Evidence:
    """One WARC file. `responses` are (address, SHA-256 of the body) of each answer in it; `path` is `None` when the
    file is not there to be handed out."""

    sha256: str
    bytes: int
    at: datetime
    responses: tuple[tuple[str, str], ...]
    href: str
    path: Path | None


def evidence_of(site: Site, version_id: int) -> tuple[Evidence, ...]:
    return tuple(
        _evidence(site, version_id, number, row) for number, row in enumerate(site.browse.evidence(version_id), 1)
    )


def _evidence(site: Site, version_id: int, number: int, row: dict[str, Any]) -> Evidence:
    return Evidence(
        row["sha256"],
        row["bytes"],
        row["at"],
        tuple(zip(row["urls"], row["body_sha256"], strict=False)),
        f"/versions/{version_id}/evidence/{number}.warc.gz",
        _file(site.settings.snapshots, row["path"]),
    )


def _file(folder: Path | None, path: str) -> Path | None:
    """The file, if it is there and lies in the folder: what the archive says is not taken on trust."""
    if folder is None:
        return None
    root = folder.resolve()
    file = (root / path).resolve()
    return file if file.is_relative_to(root) and file.is_file() else None


def attachment(body: bytes, name: str, media_type: str) -> Response:
    """Text that was captured goes out as a download, so that no browser ever shows it as a page of ours."""
    return Response(body, media_type=f"{media_type}; charset=utf-8", headers=disposition(name))


def disposition(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}
