"""Zip files for others: all texts as a dataset, and one change with all there is to prove it.

The bytes depend on the archive alone: the same archive gives the same file.
"""

from __future__ import annotations

import hashlib
import html
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tosmon import __version__
from tosmon.archive import Archive, ChangeRow, VersionRow
from tosmon.clauses import join
from tosmon.compare import compare
from tosmon.errors import ArchiveError
from tosmon.interop.names import file_name, stamp
from tosmon.interop.tables import json_lines
from tosmon.model import Clause, Comparison


@contextmanager
def _zipped(path: Path) -> Iterator[zipfile.ZipFile]:
    """A new zip file that takes its place when it is whole."""
    draft = path.with_name(f".{path.name}.new")
    try:
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as bundle:
            yield bundle
        draft.replace(path)
    except OSError as error:
        raise ArchiveError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        draft.unlink(missing_ok=True)


def _add(bundle: zipfile.ZipFile, name: str, contents: bytes, at: datetime) -> None:
    moment = max(at.astimezone(UTC), datetime(1980, 1, 1, tzinfo=UTC))  # the first that a zip file can say
    entry = zipfile.ZipInfo(name, moment.timetuple()[:6])
    entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
    bundle.writestr(entry, contents)


# --- all texts -------------------------------------------------------------------------------------------------------


def export_dataset(
    archive: Archive, path: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> int:
    """Write `<service>/<type>/<time>.md` for each version, and `metadata.jsonl`; how many versions there are."""
    documents = archive.browse.documents()
    total, done = sum(document.versions for document in documents), 0
    lines: list[str] = []
    last = datetime(1980, 1, 1, tzinfo=UTC)
    with _zipped(path) as bundle:
        for document in documents:
            folder = f"{file_name(document.key.service)}/{file_name(document.key.type)}"
            names: set[str] = set()
            for version in archive.browse.versions(document.key, newest_first=False):
                name = _free(f"{folder}/{stamp(version.at)}", names)
                _add(bundle, name, _text(archive, version.id), version.at)
                lines.append(json.dumps(_facts(version, name, document.service_name, document.url)) + "\n")
                last = max(last, version.at)
                done += 1
                progress(done, total)
        _add(bundle, "metadata.jsonl", "".join(lines).encode(), last)
        _add(bundle, "README.md", _README.format(version=__version__).encode(), last)
    return done


_README = """# Versions of terms

`<service>/<type>/<time>.md` is the text of a document from that time (UTC) on. `metadata.jsonl` has one line for each
file: the names as they are, the exact time, whether the text differs for technical reasons only, where it comes from,
and the SHA-256 of the text. Written by tosmon {version}.
"""


def _free(stem: str, names: set[str]) -> str:
    """A name that no other version has: two texts may have been seen in the same second."""
    name, number = f"{stem}.md", 1
    while name in names:
        name, number = f"{stem}-{number}.md", number + 1
    names.add(name)
    return name


def _facts(version: VersionRow, name: str, service_name: str, url: str) -> dict[str, object]:
    return {
        "file": name,
        "service": version.key.service,
        "service_name": service_name,
        "type": version.key.type,
        "url": url,
        "at": version.at.isoformat(),
        "technical": version.technical,
        "language": version.language,
        "words": version.words,
        "source": version.source,
        "sha256": version.digest.hex(),
    }


def _text(archive: Archive, version_id: int) -> bytes:
    return join(archive.browse.clauses(version_id)).encode("utf-8", "replace")


# --- one change ------------------------------------------------------------------------------------------------------


def export_evidence(archive: Archive, change_id: int, snapshots: Path, path: Path, now: datetime) -> list[str]:
    """Write both texts, the pages as received, hashes of all and a cover to read; what is missing, in words.

    Raises ArchiveError when there is no such change.
    """
    change = archive.browse.change(change_id)
    if change is None:
        raise ArchiveError(f"there is no change {change_id}; see: tosmon changes")
    sides = [archive.browse.version(version_id) for version_id in (change.before_id, change.after_id)]
    files: dict[str, tuple[bytes, datetime]] = {}
    missing: list[str] = []
    for side, version in zip(("before", "after"), sides, strict=True):
        assert version is not None
        files[f"{side}.md"] = _text(archive, version.id), version.at
        for kept in archive.browse.evidence(version.id):
            name = f"{side}-{file_name(Path(kept['path']).name)}"
            blob = _snapshot(snapshots, kept["path"])
            if blob is None or hashlib.sha256(blob).hexdigest() != kept["sha256"]:
                missing.append(f"{kept['path']} ({side}) is {'gone' if blob is None else 'damaged'}")
                continue
            files[name] = blob, kept["at"]
        if not any(name.startswith(f"{side}-") for name in files):
            where = f"; it was recorded by {version.source}" if version.source else ""
            missing.append(f"no page as received is kept for the text {side}{where}")
    files["change.json"] = "".join(json_lines([change])).encode(), change.at
    hashes = {name: hashlib.sha256(contents).hexdigest() for name, (contents, _) in files.items()}
    comparison = compare(archive.browse.clauses(change.before_id), archive.browse.clauses(change.after_id))
    cover = _cover(change, [one for one in sides if one], comparison, hashes, missing, now)
    hashes["cover.html"] = hashlib.sha256(cover).hexdigest()
    with _zipped(path) as bundle:
        _add(bundle, "cover.html", cover, change.at)
        for name, (contents, at) in files.items():
            _add(bundle, name, contents, at)
        _add(bundle, "SHA256SUMS", "".join(f"{sha}  {name}\n" for name, sha in hashes.items()).encode(), change.at)
    return missing


def _snapshot(folder: Path, path: str) -> bytes | None:
    try:
        return (folder / path).read_bytes()
    except OSError:
        return None


def _cover(
    change: ChangeRow,
    sides: list[VersionRow],
    comparison: Comparison,
    hashes: dict[str, str],
    missing: list[str],
    now: datetime,
) -> bytes:
    rows = [
        ("Document", f"{change.service_name}, {change.key.type}"),
        ("Address", change.url or "(not known)"),
        ("First seen", _exact(change.at)),
        ("In force from", change.effective_date.isoformat() if change.effective_date else "not stated"),
        *((f"Text {name}", _described(one)) for name, one in zip(("before", "after"), sides, strict=True)),
    ]
    return _COVER.format(
        title=_e(change.headline),
        summary=_e(change.summary),
        facts="".join(f"<tr><th scope=row>{_e(name)}</th><td>{_e(value)}</td></tr>" for name, value in rows),
        flags="".join(_flag_part(change)) or "<p>None.</p>",
        changes="".join(_change_part(comparison)) or "<p>None.</p>",
        missing="".join(f"<p><strong>Missing: {_e(one)}.</strong></p>" for one in missing),
        hashes="".join(f"<tr><td>{_e(name)}</td><td><code>{sha}</code></td></tr>" for name, sha in hashes.items()),
        made=_e(f"Made by tosmon {__version__} on {_exact(now)}."),
    ).encode("utf-8", "replace")


def _described(version: VersionRow) -> str:
    source = f"; {version.source}" if version.source else ""
    return f"seen {_exact(version.at)}, {version.words:,} words, SHA-256 {version.digest.hex()}{source}"


def _flag_part(change: ChangeRow) -> Iterator[str]:
    for flag in change.flags:
        yield f"<h3>{_e(flag.what)} ({_e(flag.direction.value)} for you)</h3>"
        for side, quotes in (("Before", flag.before), ("After", flag.after)):
            for quote in quotes:
                place = ", ".join((side, " › ".join(quote.headings))) if quote.headings else side
                yield f"<blockquote><p>{_e(quote.text)}</p><footer>{_e(place)}</footer></blockquote>"


def _change_part(comparison: Comparison) -> Iterator[str]:
    def shown(clauses: tuple[Clause, ...], place: int | None, tag: str) -> str:
        return "" if place is None else f"<p><{tag}>{_e(clauses[place].text)}</{tag}></p>"

    for one in comparison.changes:
        texts = shown(comparison.before, one.before, "del") + shown(comparison.after, one.after, "ins")
        yield f"<section><h3>{_e(one.kind.value)}</h3>{texts}</section>"


def _exact(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _e(text: str) -> str:
    return html.escape(text)


_COVER = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
body {{ font: 1rem/1.5 Georgia, serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; color: #111; background: #fff }}
th {{ text-align: left; vertical-align: top; padding-right: 1rem; white-space: nowrap }} td {{ overflow-wrap: anywhere }}
del {{ background: #fde2e0; white-space: pre-wrap }}
ins {{ background: #dff2df; text-decoration: none; white-space: pre-wrap }}
section {{ border-top: 1px solid #ccc }} h3 {{ font-size: 1rem }} footer {{ color: #444; font-size: .9rem }}
</style></head><body>
<h1>{title}</h1><p>{summary}</p><table>{facts}</table>{missing}
<h2>What it means</h2>{flags}
<h2>What changed</h2>{changes}
<h2>Files</h2><p>Each file's SHA-256; <code>sha256sum -c SHA256SUMS</code> checks them. WARC files hold the pages as received
(ISO 28500).</p><table>{hashes}</table><p>{made}</p>
</body></html>
"""
