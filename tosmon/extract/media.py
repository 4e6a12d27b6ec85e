"""What a response really is, by its bytes: servers send PDF as text/html, text as HTML, and the reverse."""

from __future__ import annotations

import re
from enum import StrEnum


class Media(StrEnum):
    HTML = "html"
    PDF = "pdf"
    TEXT = "text"  # plain text or Markdown
    JSON = "json"
    BINARY = "binary"


_MARKUP = re.compile(
    rb"<(?:!doctype\s+html|html|head|body|main|article|section|div|table|p|h[1-6]|ul|ol|span|br|meta|title)\b",
    re.IGNORECASE,
)
_BINARY_OPENINGS = (
    b"\x89PNG",
    b"GIF8",
    b"\xff\xd8\xff",
    b"PK\x03\x04",
    b"\x1f\x8b",
    b"\xd0\xcf\x11\xe0",
    b"RIFF",
    b"\x00\x00\x01\x00",
)
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\x1b"))


def media_of(body: bytes, content_type: str | None) -> Media:
    """The kind of `body`; the header decides only where the bytes leave it open."""
    start = body[:1024].lstrip(b"\xef\xbb\xbf\x00 \t\r\n")
    if start.startswith(b"%PDF-") or (b"%PDF-" in start and not _MARKUP.search(start)):
        return Media.PDF
    if start.startswith(_BINARY_OPENINGS):
        return Media.BINARY
    head = body[:8192]
    wide = head[:2] in (b"\xff\xfe", b"\xfe\xff") or head[1:512:2].count(0) > 200 or head[0:512:2].count(0) > 200
    if not wide and len(head) - len(head.translate(None, _CONTROLS)) > len(head) // 10:
        return Media.BINARY
    declared = (content_type or "").split(";")[0].strip().lower()
    if start[:1] in (b"{", b"[") and (declared.endswith("json") or not _MARKUP.search(body, 0, 65536)):
        return Media.JSON
    if wide or _MARKUP.search(body, 0, 262_144):
        # A plain text or Markdown file may quote a tag or two; a page has many.
        if declared in ("text/plain", "text/markdown") and len(_MARKUP.findall(body, 0, 262_144)) < 5:
            return Media.TEXT
        return Media.HTML
    return Media.HTML if declared in ("text/html", "application/xhtml+xml") and b"</" in body[:65536] else Media.TEXT
