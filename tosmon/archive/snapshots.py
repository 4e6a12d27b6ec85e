"""Snapshots: pages as received, in WARC files (ISO 28500) that are written once and never touched again.

The file is whole on disk before any row speaks of it. A check that dies in between leaves a file without a row,
which harms nobody; a row without its file would be a hole in the evidence.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

from warcio.archiveiterator import ArchiveIterator
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from tosmon import __version__
from tosmon.errors import ArchiveError
from tosmon.model import Response, TermsKey


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A kept observation. `path` is relative to the folder of snapshots; `body_sha256` has one digest per response."""

    path: str
    sha256: str
    bytes: int
    urls: tuple[str, ...]
    body_sha256: tuple[str, ...]
    at: datetime


class Snapshots:
    """The folder `snapshots/<service>/<type>/<UTC time>.warc.gz`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, key: TermsKey, responses: Sequence[Response]) -> Snapshot:
        """Write the responses of one observation to a new file, flushed to disk; raises ArchiveError."""
        at = responses[0].at
        folder = self.folder / _safe(key.service) / _safe(key.type)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path, blob = self._write(folder, at, responses)
        except OSError as error:
            raise ArchiveError(f"cannot write a snapshot under {folder}: {error.strerror or error}") from error
        return Snapshot(
            path.relative_to(self.folder).as_posix(),
            hashlib.sha256(blob).hexdigest(),
            len(blob),
            tuple(response.url for response in responses),
            tuple(hashlib.sha256(response.body).hexdigest() for response in responses),
            at,
        )

    def _write(self, folder: Path, at: datetime, responses: Sequence[Response]) -> tuple[Path, bytes]:
        blob = _warc(responses)
        descriptor, temporary = tempfile.mkstemp(prefix=".new-", dir=folder)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(blob)
                stream.flush()
                os.fsync(stream.fileno())
            stamp = at.astimezone(UTC).strftime("%Y-%m-%dT%H-%M-%S")
            for number in range(1000):
                path = folder / f"{stamp}{f'-{number}' if number else ''}Z.warc.gz"
                try:
                    os.link(temporary, path)  # unlike a rename, this never replaces a snapshot that is there
                except FileExistsError:
                    continue
                return path, blob
            raise ArchiveError(f"{folder}: a thousand snapshots of the same second")
        finally:
            Path(temporary).unlink(missing_ok=True)

    def read(self, path: str) -> tuple[Response, ...]:
        """The responses that `keep` was given; raises ArchiveError when the file is gone or damaged."""
        try:
            blob = (self.folder / path).read_bytes()
        except OSError as error:
            raise ArchiveError(f"snapshot {path} cannot be read: {error.strerror or error}") from error
        return _responses(blob, path)


def _safe(name: str) -> str:
    """A file name for any service's key: no separator, no dot first, no reserved sign; readable where it can be."""
    cleaned = re.sub(r"[\x00-\x1f\x7f/\\:*?\"<>|%]", lambda found: quote(found[0], safe=""), name)
    return re.sub(r"^\.|[. ]$", lambda found: f"%{ord(found[0]):02X}", cleaned)[:150] or "%00"


def _warc(responses: Sequence[Response]) -> bytes:
    stream = io.BytesIO()
    writer = WARCWriter(stream, gzip=True)
    writer.write_record(
        writer.create_warcinfo_record(
            "tosmon.warc.gz", {"software": f"tosmon/{__version__}", "format": "WARC File Format 1.0"}
        )
    )
    for response in responses:
        stamp = response.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        facts = {
            "final_url": response.final_url,
            "redirects": response.redirects,
            "rendered": response.rendered,
            "at": response.at.isoformat(),
        }
        # The body is stored as it was after decoding, so the headers that speak of its coding are set aside, not lost.
        headers = [
            (
                f"X-Received-{name}"
                if name.lower() in ("content-encoding", "transfer-encoding", "content-length")
                else name,
                value,
            )
            for name, value in response.headers
        ]
        answer = writer.create_warc_record(
            response.url,
            "response",
            payload=io.BytesIO(response.body),
            length=len(response.body),
            http_headers=StatusAndHeaders(f"{response.status} -", headers, protocol="HTTP/1.1"),
            warc_headers_dict={"WARC-Date": stamp, "X-Tosmon": json.dumps(facts, ensure_ascii=True)},
        )
        target = urlsplit(response.url)
        line = f"GET {target.path or '/'}{'?' + target.query if target.query else ''} HTTP/1.1"
        asked = writer.create_warc_record(
            response.url,
            "request",
            http_headers=StatusAndHeaders(line, list(response.request_headers), is_http_request=True),
            warc_headers_dict={"WARC-Date": stamp},
        )
        writer.write_request_response_pair(asked, answer)
    return stream.getvalue()


def _responses(blob: bytes, path: str) -> tuple[Response, ...]:
    found: list[Response] = []
    asked: dict[str, tuple[tuple[str, str], ...]] = {}
    answers: list[tuple[str, str, Response]] = []
    try:
        for record in ArchiveIterator(io.BytesIO(blob), check_digests="raise"):
            if record.rec_type == "request":
                asked[record.rec_headers.get_header("WARC-Concurrent-To")] = tuple(record.http_headers.headers)
            if record.rec_type != "response":
                continue
            facts = json.loads(record.rec_headers.get_header("X-Tosmon"))
            answers.append(
                (
                    record.rec_headers.get_header("WARC-Record-ID"),
                    path,
                    Response(
                        url=record.rec_headers.get_header("WARC-Target-URI"),
                        final_url=facts["final_url"],
                        status=int(record.http_headers.get_statuscode()),
                        headers=tuple(
                            (name.removeprefix("X-Received-"), value) for name, value in record.http_headers.headers
                        ),
                        body=record.raw_stream.read(),
                        at=datetime.fromisoformat(facts["at"]),
                        redirects=tuple(facts["redirects"]),
                        rendered=facts["rendered"],
                    ),
                )
            )
    except Exception as error:  # warcio raises many kinds on damage; whichever it is, the file cannot be trusted
        raise ArchiveError(f"snapshot {path} is damaged: {error}") from error
    for record_id, _, response in answers:
        found.append(
            Response(
                response.url,
                response.final_url,
                response.status,
                response.headers,
                response.body,
                response.at,
                asked.get(record_id, ()),
                response.redirects,
                response.rendered,
            )
        )
    return tuple(found)
