"""Bad input and bad disks: each a clear error in one place, and nothing that was kept is lost."""

from __future__ import annotations

import gzip
import json
import os
import re
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import feedparser
import pytest
from local_site import Answer, Site, serving

from tosmon import cli
from tosmon.archive import Archive
from tosmon.clauses import join
from tosmon.model import TermsKey, Verdict

ROOT = Path(__file__).parents[2]
KEY = TermsKey("Oakhollow", "Terms of Service")
CLAUSES = (
    "Oakhollow lends tools to people who live in the valley. Whoever borrows one agrees to these terms and keeps to them.",
    "Tools are lent for a week. Whoever keeps a tool for longer pays two crowns for each day that has begun.",
    "Bring tools back clean and dry. If something broke, say so; we mend it together and nobody is scolded.",
    "You keep the rights to the pictures of what you build. We show them in the workshop if you want us to.",
    "Saws and drills are lent to grown-ups only, after somebody has shown them how to use these safely.",
)
LATE = (*CLAUSES[:1], CLAUSES[1].replace("two crowns", "five crowns"), *CLAUSES[2:])
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def page(clauses: tuple[str, ...] = CLAUSES) -> str:
    body = "".join(f"<p>{clause}</p>" for clause in clauses)
    return (
        f"<!doctype html><html lang=en><title>T</title><body><main><h1>Terms of Service</h1>{body}</main></body></html>"
    )


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as made:
        made.page("/terms", page())
        yield made


@pytest.fixture(autouse=True)
def no_chromium(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What plain HTTP brings must do: a browser would only make the same failures slower."""
    monkeypatch.setenv("TOSMON_CHROMIUM", str(tmp_path / "none"))


def configure(folder: Path, site: Site, *, select: Any = "main", **politeness: Any) -> Path:
    """A configuration in its folder, with one document of the site."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.yaml"
    terms = {"type": KEY.type, "url": site.url("/terms"), **({"select": select} if select else {})}
    written = {
        "services": [{"key": KEY.service, "terms": [terms]}],
        "schedule": {"confirm_after": "0s"},
        "politeness": {"pause": "0s", "robots": False, "allow_private_addresses": True, **politeness},
    }
    path.write_text(json.dumps(written), encoding="utf-8")
    return path


class Said:
    """What a command printed, and how it ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def tosmon(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Runs a command of the command line in this process."""

    def run(config: Path, *arguments: str) -> Said:
        code = cli.run(["--config", str(config), *arguments])
        printed = capsys.readouterr()
        return Said(code, printed.out, printed.err)

    return run


def apart(config: Path, *arguments: str, before: Callable[[], None] | None = None) -> Said:
    """Runs a command in a process of its own; `before` is called in it first."""
    done = subprocess.run(
        [sys.executable, "-c", "from tosmon.cli import main; main()", "--config", str(config), *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        preexec_fn=before,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def check_well(config: Path) -> None:
    said = apart(config, "check")
    assert said.code == 0, said.err


def is_clear(said: Said) -> None:
    """One thing to read, no traceback, no control characters."""
    assert said.code == 1
    assert said.err.strip() and "Traceback" not in said.err + said.out
    assert not CONTROL.search(said.err.replace("\n", ""))


@contextmanager
def archive_in(folder: Path) -> Iterator[Archive]:
    archive = Archive(f"sqlite:///{folder / 'archive.sqlite'}")
    yield archive
    archive.close()


def incident_of(folder: Path) -> tuple[Verdict, str]:
    with archive_in(folder) as archive:
        (incident,) = archive.browse.incidents()
        assert archive.browse.counts()["checks"] >= 1
        return incident.verdict, incident.detail


def latest_text(folder: Path) -> str:
    with archive_in(folder) as archive:
        (row,) = archive.browse.documents()
        assert row.latest_version_id is not None
        return join(archive.browse.clauses(row.latest_version_id))


def is_whole(folder: Path) -> None:
    """The database is sound, and each snapshot that it names is there."""
    connection = sqlite3.connect(folder / "archive.sqlite")
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    for (path,) in connection.execute("SELECT path FROM snapshot"):
        assert (folder / "snapshots" / path).is_file()
    connection.close()


# --- configurations ---------------------------------------------------------------------------------------------------

UNREADABLE = {
    "broken YAML": (b"services:\n  - key: X\n   terms: [", "line"),
    "a tab": (b"services:\n\t- key: X\n", "line"),
    "not text": (b"\xff\xfe\x00\x01\x80services", "UTF-8"),
    "control characters": (b"services: \x1b]0;owned\x07\n", "#x001b"),
    "a list": (b"- services\n", "expected"),
    "an unknown key": (b"servces: []\n", "services"),
    "a bomb of anchors": (
        b"a: &a [x,x,x,x,x,x,x,x,x]\n"
        + b"".join(b"%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n" % ((n, n) + (n - 1,) * 7) for n in range(98, 110)),
        "",
    ),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_an_unreadable_configuration_starts_nothing(kind: str, tosmon: Callable[..., Said], tmp_path: Path) -> None:
    """The message names the file and the place, the exit code is 1, and no archive is made."""
    text, expected = UNREADABLE[kind]
    config = tmp_path / "config.yaml"
    config.write_bytes(text)

    said = tosmon(config, "check")

    is_clear(said)
    assert expected in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


@pytest.mark.parametrize("what", ["missing", "folder"])
def test_a_configuration_that_is_no_file_is_named(what: str, tosmon: Callable[..., Said], tmp_path: Path) -> None:
    """A configuration that is missing, or is a folder, is named with what to do."""
    config = tmp_path / "elsewhere.yaml"
    if what == "folder":
        config.mkdir()

    said = tosmon(config, "check")

    assert said.code in (1, 2)
    assert "elsewhere.yaml" in said.err and "Traceback" not in said.err


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        (3, "services[0].terms[0].select: expected a CSS selector or a list, got 3"),
        ("div[", "services[0].terms[0].select"),
        ("div:frobnicate(2)", "services[0].terms[0].select"),
        (["main", "p >> a"], "services[0].terms[0].select[1]"),
        ({"start_befor": "h1"}, "services[0].terms[0].select"),
    ],
)
def test_an_unknown_selector_is_refused_before_anything_starts(
    select: Any, expected: str, tosmon: Callable[..., Said], tmp_path: Path, site: Site
) -> None:
    """What no parser knows as a selector is a fault of the configuration, with its place."""
    said = tosmon(configure(tmp_path, site, select=select), "check")

    is_clear(said)
    assert expected in said.err
    assert site.asked == []
    assert not (tmp_path / "archive.sqlite").exists()


def test_a_selector_that_is_not_on_the_page_is_an_incident(
    tosmon: Callable[..., Said], tmp_path: Path, site: Site
) -> None:
    """The operator is told which selector found nothing, or the page is read without it; the old text stays."""
    config = configure(tmp_path, site)
    tosmon(config, "check")
    site.page("/terms", "<!doctype html><title>x</title><body><div id=app></div></body>")

    assert tosmon(config, "check").code == 3
    verdict, detail = incident_of(tmp_path)
    assert verdict in (Verdict.SELECTOR_LOST, Verdict.EMPTY)
    assert detail
    assert all(clause in latest_text(tmp_path) for clause in CLAUSES)


# --- pages --------------------------------------------------------------------------------------------------------------


def endless(first: bytes, more: bytes) -> Callable[[Callable[[bytes], None]], None]:
    """An answer that goes on until the other side has had enough, or for half a gigabyte."""

    def write(send: Callable[[bytes], None]) -> None:
        with suppress(OSError):
            send(first)
            for _ in range(500_000_000 // len(more)):
                send(more)

    return write


def chunk(body: bytes) -> bytes:
    return f"{len(body):x}\r\n".encode() + body + b"\r\n"


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
TEXT = b"<p>These terms never end, and neither does this page.</p>" * 1000
HUGE = {
    "endless": endless(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", chunk(TEXT)),
    "ten gigabytes by its own account": endless(HEAD + b"Content-Length: 10000000000\r\n\r\n", TEXT),
    "endless, in one line, without a length": endless(HEAD + b"Connection: close\r\n\r\n", b"x" * 65536),
    "a gzip bomb": endless(
        HEAD + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
        chunk(gzip.compress(bytes(20_000_000)) * 5),
    ),
}


@pytest.mark.parametrize("kind", HUGE)
def test_a_page_without_end_is_cut_off(kind: str, tosmon: Callable[..., Said], tmp_path: Path, site: Site) -> None:
    """No more than politeness.max_bytes is read or unpacked; the incident says so, and the version from before stays."""
    config = configure(tmp_path, site)
    assert tosmon(config, "check").code == 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    site.raw["/terms"] = HUGE[kind]

    assert tosmon(config, "check").code == 3
    verdict, detail = incident_of(tmp_path)
    assert verdict is Verdict.UNREACHABLE
    assert "larger than 20,000,000 bytes" in detail and "politeness.max_bytes" in detail
    assert all(clause in latest_text(tmp_path) for clause in CLAUSES)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def test_a_bomb_of_many_layers_is_cut_off(tosmon: Callable[..., Said], tmp_path: Path, site: Site) -> None:
    """Compression upon compression is unpacked within the same limit."""
    config = configure(tmp_path, site)
    body = bytes(50_000_000)
    for _ in range(3):
        body = gzip.compress(body)
    site.answers["/terms"] = Answer(body, 200, {"Content-Type": "text/html", "Content-Encoding": "gzip, gzip, gzip"})

    assert tosmon(config, "check").code == 3
    assert incident_of(tmp_path)[0] in (Verdict.UNREACHABLE, Verdict.UNREADABLE, Verdict.EMPTY)


def test_a_page_that_drips_is_given_up(tosmon: Callable[..., Said], tmp_path: Path, site: Site) -> None:
    """A byte now and then keeps nobody waiting for longer than politeness.total_timeout."""

    def drip(send: Callable[[bytes], None]) -> None:
        with suppress(OSError):
            send(HEAD + b"Content-Length: 100000\r\n\r\n")
            while not site.stopping.wait(0.1):
                send(b"x")

    config = configure(tmp_path, site, total_timeout="1s")
    site.raw["/terms"] = drip

    assert tosmon(config, "check").code == 3
    verdict, detail = incident_of(tmp_path)
    assert verdict is Verdict.UNREACHABLE and "1 s" in detail


GARBAGE = {
    "control characters": bytes(range(1, 32)) * 4000,
    "zeros": bytes(100_000),
    "escape sequences": b"\x1b[0m\x1b\\\x9b\x90\x08\x07" * 9000,
    "half a character each": b"\xc3\xe2\xf0" * 30_000,
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_a_page_of_control_characters_is_an_incident(
    kind: str, tosmon: Callable[..., Said], tmp_path: Path, site: Site
) -> None:
    """Bytes without text make no version, and nothing of them reaches the terminal."""
    config = configure(tmp_path, site, select=None)
    tosmon(config, "check")
    site.page("/terms", GARBAGE[kind])

    said = tosmon(config, "check")

    assert said.code == 3
    assert not CONTROL.search((said.out + said.err).replace("\n", ""))
    assert incident_of(tmp_path)[0] is not Verdict.OK
    assert all(clause in latest_text(tmp_path) for clause in CLAUSES)
    with archive_in(tmp_path) as archive:
        assert archive.browse.counts()["versions"] == 1


def test_control_characters_inside_terms_harm_no_feed_and_no_terminal(
    tosmon: Callable[..., Said], tmp_path: Path, site: Site
) -> None:
    """Terms with escape sequences in them are kept and told; feeds stay well-formed, terminals unharmed."""
    config = configure(tmp_path, site)
    tosmon(config, "check")
    poisoned = CLAUSES[2] + " Whoever\x1b]0;owned\x07 lies\x0b about it\x01 pays\ufffe ten crowns \u202ereversed."
    site.page("/terms", page((*CLAUSES[:2], poisoned, *CLAUSES[3:])))

    assert tosmon(config, "check").code == 0
    for command in ("changes", "show Oakhollow", "diff 1", "list"):
        said = tosmon(config, *command.split())
        assert said.code == 0, said.err
        assert not CONTROL.search((said.out + said.err).replace("\n", ""))
    for name in ("all.atom", "all.rss"):
        feed = feedparser.parse((tmp_path / "public" / "feeds" / name).read_bytes())
        assert not feed.bozo and len(feed.entries) == 1
        entry = feed.entries[0]
        assert "ten crowns" in " ".join([entry.summary, *(part.value for part in entry.get("content", []))])


# --- disks --------------------------------------------------------------------------------------------------------------


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """A file system of its own at a folder; skips the test where nobody may mount one."""
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """The folder and all in it cannot be written, not even by root."""
    if os.geteuid() == 0:
        with mounted(folder, "--bind", str(folder)):
            subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
            yield
        return
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in (*folders, *files):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        yield
    finally:
        for path in (*folders, *files):
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_a_read_only_disk_is_a_clear_error_and_loses_nothing(tmp_path: Path, site: Site) -> None:
    """Nothing can be recorded, so `check` says why; what is archived can still be read; later, nothing is missing."""
    folder = tmp_path / "disk"
    config = configure(folder, site)
    check_well(config)
    site.page("/terms", page(LATE))

    with read_only(folder):
        said = apart(config, "check")
        is_clear(said)
        assert re.search("read-?only|cannot|permission", said.err, re.IGNORECASE)
        listed = apart(config, "list")
        assert (listed.code, "Oakhollow" in listed.out) == (0, True), listed.err

    is_whole(folder)
    recovers(config, folder)


def test_a_read_only_disk_at_the_very_start_is_a_clear_error(tmp_path: Path, site: Site) -> None:
    """No archive can be made: said at once, before any page is fetched."""
    folder = tmp_path / "disk"
    config = configure(folder, site)

    with read_only(folder):
        is_clear(apart(config, "check"))
    assert site.asked == []


@pytest.mark.parametrize("place", ["snapshots", "archive.sqlite", "public"])
def test_a_place_that_is_taken_by_something_else_is_named(
    place: str, tosmon: Callable[..., Said], tmp_path: Path, site: Site
) -> None:
    """A file where a folder should be (or the reverse) is named in the error."""
    config = configure(tmp_path, site)
    if place == "archive.sqlite":
        (tmp_path / place).mkdir()
    else:
        (tmp_path / place).write_text("in the way", encoding="utf-8")

    said = tosmon(config, "check")

    is_clear(said)
    assert place in said.err


def test_a_damaged_archive_is_refused_and_left_alone(tosmon: Callable[..., Said], tmp_path: Path, site: Site) -> None:
    """What is no database is not written over."""
    config = configure(tmp_path, site)
    (tmp_path / "archive.sqlite").write_bytes(b"this is no database, but somebody's diary" * 100)

    is_clear(tosmon(config, "check"))
    assert (tmp_path / "archive.sqlite").read_bytes().startswith(b"this is no database")


def recovers(config: Path, folder: Path) -> None:
    """With room again, the change is recorded and told, and everything is whole."""
    check_well(config)
    is_whole(folder)
    with archive_in(folder) as archive:
        assert [alert.service for alert in archive.browse.alerts("all")] == ["Oakhollow"]
    assert "five crowns" in latest_text(folder)


def test_a_full_disk_is_a_clear_error_and_loses_nothing(tmp_path: Path, site: Site) -> None:
    """With no byte left the check fails in one line; with room again, the change is told as if nothing had been."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with mounted(folder, "-t", "tmpfs", "-o", "size=4m", "tmpfs"):
        config = configure(folder, site)
        check_well(config)
        site.page("/terms", page(LATE))
        ballast = folder / "ballast"
        fill(ballast)

        said = apart(config, "check")
        is_clear(said)
        assert re.search("full|space", said.err)

        ballast.unlink()
        recovers(config, folder)


def fill(ballast: Path) -> None:
    """Take all the room that is left."""
    with suppress(OSError), ballast.open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(4096))


def test_a_file_that_may_not_grow_is_a_clear_error_and_loses_nothing(tmp_path: Path, site: Site) -> None:
    """The same where a quota, not the disk, is what is full."""
    folder = tmp_path / "disk"
    config = configure(folder, site)
    check_well(config)
    site.page("/terms", page(LATE))

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))

    is_clear(apart(config, "check", before=limited))
    recovers(config, folder)
