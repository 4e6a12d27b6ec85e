"""Kill `tosmon check` with SIGKILL at random moments while the pages change, and count what is lost or doubled.

    python benchmarks/kill.py [--kills 200] [--seed 1] [--out FILE]

A local site serves the demo's platforms, whose story goes on from round to round, and ledgers: terms that get one more
numbered rule in each round, so that every single change can be followed from the page to the mail. Each round starts a
real `tosmon check` with a real configuration and kills it at a random moment after its first request, or
while it hands over a mail, before or just after the server's reply. Its clock is set 20 minutes further each round
(the leases of the dead have run out then); pages, archive, SMTP and processes are real. At the end it may finish in
peace, and everything is held against what the pages said and the mail server got. Prints one JSON object; exits with 1
when something was lost, damaged or wrongly doubled.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import signal
import socketserver
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path

from tosmon.archive import Archive
from tosmon.archive.store import chain
from tosmon.clauses import join, plain
from tosmon.demo import Page, Pages, Site, Story, declared
from tosmon.model import AlertKind, TermsKey

LEDGERS = 4
STEP = timedelta(minutes=20)
TERMS = "Terms of Service"
_RULE = re.compile(r"Rule (\d+) of ledger (\d+)\b")
_THINGS = ("lanterns", "ladders", "barrels", "kites", "bells", "ropes", "candles", "anchors", "spoons", "clocks")

# `tosmon` itself, on a clock that is set some seconds ahead: that is how the leases of a killed process run out at once.
# Each check is forked from a process that has imported everything: a kill costs a second less, and falls into the work.
_PROGRAM = """
import datetime, os, sys
import tosmon.cli.wiring as wiring
ahead, real = datetime.timedelta(0), wiring.now
wiring.now = lambda: real() + ahead
import tosmon.cli.checking, tosmon.archive, tosmon.deliver, tosmon.judge, tosmon.run
from tosmon.cli import main
log = os.open("log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for line in sys.stdin:
    ahead = datetime.timedelta(seconds=float(line))
    child = os.fork()
    if not child:
        os.dup2(log, 1), os.dup2(log, 2)
        main(["--config", "config.yaml", "check"])
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Check:
    """One `tosmon check` at work."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.ended = threading.Event()
        self.exit_code: int | None = None

    def wait(self, seconds: float) -> bool:
        """Whether it ended by itself in that time."""
        return self.ended.wait(seconds)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.ended.wait(60)


class Checks:
    """Starts one `tosmon check` after the other, in a folder with a configuration."""

    def __init__(self, folder: Path) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TOSMON_")}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        # No Chromium, where one is installed: starting it for the demo's log-in page takes twenty times as long as a check.
        environment["TOSMON_CHROMIUM"] = os.fspath(folder / "none")
        self._parent = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, ahead: timedelta) -> Check:
        stdin, stdout = self._parent.stdin, self._parent.stdout
        assert stdin is not None and stdout is not None
        stdin.write(f"{ahead.total_seconds()}\n")
        stdin.flush()
        check = Check(int(stdout.readline()))

        def follow() -> None:
            check.exit_code = int(stdout.readline())
            check.ended.set()

        threading.Thread(target=follow, daemon=True).start()
        return check

    def close(self) -> None:
        self._parent.communicate()


@dataclass
class Received:
    """A mail as the server got it. `answered`: the reply was sent; `last`: the last one of a process that was killed."""

    message_id: str
    rules: frozenset[tuple[int, int]]
    answered: bool = False
    last: bool = False


class Mailbox:
    """An SMTP server. `before_reply` and `after_reply` are called around the reply to a mail that was taken."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.before_reply: Callable[[], None] = lambda: None
        self.after_reply: Callable[[], None] = lambda: None
        mailbox = self

        class Dialogue(socketserver.StreamRequestHandler):
            disable_nagle_algorithm = True

            def handle(self) -> None:
                try:
                    mailbox._talk(self)
                except OSError:
                    pass  # the other side was killed

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Dialogue)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _talk(self, dialogue: socketserver.StreamRequestHandler) -> None:
        def say(text: str) -> None:
            dialogue.wfile.write(f"{text}\r\n".encode())

        say("220 ready")
        while line := dialogue.rfile.readline():
            verb = line.split(None, 1)[0].upper() if line.strip() else b""
            if verb == b"DATA":
                say("354 go on")
                lines = []
                while (line := dialogue.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(line.removeprefix(b"."))
                if not line:
                    return  # died before the end of the mail: the server has none
                mail = received(b"".join(lines))
                self.received.append(mail)
                self.before_reply()
                say("250 taken")
                mail.answered = True
                self.after_reply()
            elif verb == b"QUIT":
                say("221 goodbye")
                return
            else:
                say("250 fine")


def received(raw: bytes) -> Received:
    mail = BytesParser(policy=default).parsebytes(raw)
    assert isinstance(mail, EmailMessage)
    body = mail.get_body(("plain",))
    assert body is not None
    found = _RULE.findall(" ".join(str(body.get_content()).split()))
    return Received(str(mail["Message-ID"]), frozenset((int(ledger), int(rule)) for rule, ledger in found))


class Town:
    """Everything outside tosmon: the demo's platforms at a moment of their story, and ledgers with so many rules."""

    def __init__(self, folder: Path) -> None:
        self.story = Story(datetime(2025, 6, 30, 18, tzinfo=UTC))
        self.moment = self.story.start
        self.rules = [3] * LEDGERS
        self.asked = threading.Event()
        self.mailbox = Mailbox()
        self._pages = Pages(self.story)
        self._site = Site(self._page)
        self._site.__enter__()
        self.folder = folder
        (folder / "config.yaml").write_text(json.dumps(self._configuration()), encoding="utf-8")
        self._checks = Checks(folder)

    def close(self) -> None:
        self._checks.close()
        self._site.__exit__(None, None, None)
        self.mailbox.close()

    def _page(self, path: str) -> Page | None:
        self.asked.set()
        if path.startswith("/ledger/"):
            number = int(path.rpartition("/")[2])
            return Page(ledger(number, self.rules[number]))
        return self._pages.get(path, self.moment)

    def _configuration(self) -> dict[str, object]:
        documents = [(one.key, one.form.sources) for one in declared(self._site.address)]
        services: dict[str, dict[str, object]] = defaultdict(dict)
        for key, sources in documents:
            services[key.service][key.type] = {
                "url": [source.url for source in sources],
                **({"select": [str(select) for select in sources[0].select]} if sources[0].select else {}),
            }
        for number in range(LEDGERS):
            services[f"Ledger {number}"][TERMS] = {"url": f"{self._site.address}/ledger/{number}", "select": "main"}
        return {
            "services": {key: {"terms": terms} for key, terms in services.items()},
            "politeness": {"pause": "0s", "allow_private_addresses": True},
            "email": {
                "host": "127.0.0.1",
                "port": self.mailbox.port,
                "security": "none",
                "from": "tosmon <alerts@tosmon.example>",
                "recipients": ["reader@reader.example"],
                "most_an_hour": 100_000,  # each alert a mail of its own: that is what is followed here
            },
        }

    def start(self, ahead: timedelta) -> Check:
        self.asked.clear()
        return self._checks.start(ahead)


def ledger(number: int, rules: int) -> str:
    """Terms with so many numbered rules, each of its own words."""
    paragraphs = "".join(
        f"<p>Rule {rule} of ledger {number}: nobody may sell {_THINGS[rule % 10]} from cart {rule * 31 + number} "
        f"for more than {rule * 7 + number} crowns before {_THINGS[(rule // 10) % 10]} are counted.</p>"
        for rule in range(rules)
    )
    return (
        f"<!doctype html><html lang=en><head><title>Ledger {number}</title></head><body><main><h1>Ledger {number}</h1>"
        f"<p>These are the rules of the market hall, and they bind everybody who sells in it.</p>{paragraphs}"
        "<p>Whoever breaks a rule is asked to leave the hall for a week.</p></main></body></html>"
    )


# --- killing ---------------------------------------------------------------------------------------------------------


@dataclass
class Figures:
    seed: int
    rounds: int = 0
    kills: int = 0
    killed_while_looking: int = 0
    killed_at_a_mail_before_its_reply: int = 0
    killed_at_a_mail_after_its_reply: int = 0
    finished_before_the_kill: int = 0
    versions: int = 0
    alerts: int = 0
    mails: int = 0
    changes_made: int = 0
    lost: int = 0
    doubled_with_the_same_message_id: int = 0
    doubled_wrongly: int = 0
    damage: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def sound(self) -> bool:
        return not (self.damage or self.lost or self.doubled_wrongly)


def run(kills: int, seed: int, folder: Path, progress: Callable[[str], None] = lambda text: None) -> Figures:
    """Kill that often, let it finish, and account for everything."""
    began = time.perf_counter()
    chance = random.Random(seed)
    figures = Figures(seed)
    town = Town(folder)
    ahead = timedelta(0)
    try:
        length = _peace(town, ahead)
        first = list(town.rules)
        while figures.kills < kills:
            ahead += STEP
            figures.rounds += 1
            town.rules[chance.randrange(LEDGERS)] += 1
            town.moment = town.story.start + (town.story.end - town.story.start) * min(1.0, figures.kills / kills)
            _round(town, ahead, chance, length, figures)
            progress(f"{figures.kills} of {kills} kills, {len(town.mailbox.received)} mails")
        town.moment = town.story.end
        for _ in range(4):  # look, confirm, deliver what the dead had claimed, and once more for what waits for a retry
            ahead += STEP
            _peace(town, ahead)
        _account(town, first, figures)
    finally:
        town.close()
    figures.seconds = round(time.perf_counter() - began, 1)
    return figures


def _peace(town: Town, ahead: timedelta) -> float:
    """A whole check; the seconds from its first request to its end."""
    check = town.start(ahead)
    town.asked.wait(60)
    began = time.perf_counter()
    check.wait(120)
    if check.exit_code not in (0, 3):
        raise AssertionError((town.folder / "log.txt").read_text(encoding="utf-8")[-3000:])
    return time.perf_counter() - began


def _round(town: Town, ahead: timedelta, chance: random.Random, length: float, figures: Figures) -> None:
    """One check, killed at a random moment of its work or at a mail."""
    way = chance.choices(("moment", "before", "after"), (3, 1, 1))[0]
    delay = chance.uniform(0, 1.1 * length) if way == "moment" else chance.uniform(0, 0.01)
    mailbox, had = town.mailbox, len(town.mailbox.received)
    check = town.start(ahead)

    def kill(wait: float = 0.0) -> None:
        mailbox.before_reply = mailbox.after_reply = lambda: None
        if not check.wait(wait):
            check.kill()

    if way == "before":
        mailbox.before_reply = kill
    elif way == "after":
        mailbox.after_reply = lambda: kill(delay)
    if way == "moment":
        town.asked.wait(60)
        kill(delay)
    else:
        check.wait(120)
    mailbox.before_reply = mailbox.after_reply = lambda: None
    if check.exit_code != -signal.SIGKILL:
        if check.exit_code not in (0, 3):
            figures.damage.append(f"exit code {check.exit_code} in round {figures.rounds}")
        figures.finished_before_the_kill += 1
        return
    figures.kills += 1
    sent = mailbox.received[had:]
    if sent:
        sent[-1].last = True
    figures.killed_while_looking += way == "moment"
    figures.killed_at_a_mail_before_its_reply += way == "before"
    figures.killed_at_a_mail_after_its_reply += way == "after"


# --- accounting --------------------------------------------------------------------------------------------------------


def _account(town: Town, first: list[int], figures: Figures) -> None:
    figures.damage += damage_of(town.folder)
    archive = Archive(f"sqlite:///{town.folder / 'archive.sqlite'}")
    try:
        counts = archive.browse.counts()
        alerts = archive.browse.alerts("all", 100_000)
        figures.versions, figures.alerts, figures.mails = counts["versions"], len(alerts), len(town.mailbox.received)
        for number, rules in enumerate(town.rules):
            (row,) = [one for one in archive.browse.documents() if one.key == TermsKey(f"Ledger {number}", TERMS)]
            assert row.latest_version_id is not None
            text = join(archive.browse.clauses(row.latest_version_id))
            seen = {int(rule) for rule, _ in _RULE.findall(text)}
            if seen != set(range(rules)):
                figures.damage.append(f"ledger {number}: the latest version has {len(seen)} of {rules} rules")
        told = Counter(
            (int(ledger), int(rule))
            for alert in alerts
            if alert.kind is AlertKind.CHANGE
            for passage in alert.passages
            for rule, ledger in _RULE.findall(plain("".join(edit.text for edit in passage.edits)))
        )
        states = archive.outbox.counts()
    finally:
        archive.close()
    made = {(number, rule) for number, rules in enumerate(town.rules) for rule in range(first[number], rules)}
    mailed: dict[tuple[int, int], set[str]] = defaultdict(set)
    for mail in town.mailbox.received:
        for rule in mail.rules:
            mailed[rule].add(mail.message_id)
    figures.changes_made = len(made)
    figures.lost = len([rule for rule in made if told[rule] == 0 or not mailed[rule]])
    figures.damage += [f"rule {rule} was told in {told[rule]} alerts" for rule in made if told[rule] > 1]
    figures.damage += [
        f"rule {rule} came under {len(mailed[rule])} Message-IDs" for rule in made if len(mailed[rule]) > 1
    ]
    figures.damage += [f"rule {rule} was told and never made" for rule in told if rule not in made]
    if states != {"sent": len(alerts)}:
        figures.damage.append(f"{len(alerts)} alerts, but the outbox says {states}")
    copies: dict[str, list[Received]] = defaultdict(list)
    for mail in town.mailbox.received:
        copies[mail.message_id].append(mail)
    figures.lost += len(alerts) - len(copies)
    for same in copies.values():
        # A second copy may follow a mail at which its process was killed, before it could note the reply; no other.
        figures.doubled_with_the_same_message_id += sum(1 for mail in same[:-1] if mail.last)
        figures.doubled_wrongly += sum(1 for mail in same[:-1] if not mail.last)


def damage_of(folder: Path) -> list[str]:
    """Everything that is wrong with an archive: the file itself, digests, the chain, spans, snapshots, loose ends."""
    found: list[str] = []
    connection = sqlite3.connect(folder / "archive.sqlite")
    try:
        (integrity,) = connection.execute("PRAGMA integrity_check").fetchone()
        found += [f"integrity_check: {integrity}"] if integrity != "ok" else []
        found += [f"foreign key: {row}" for row in connection.execute("PRAGMA foreign_key_check")]
        snapshots = connection.execute("SELECT path, sha256 FROM snapshot").fetchall()
        links = connection.execute(
            "SELECT version.id, service.key, terms.type, version.chain FROM version JOIN terms ON terms.id = terms_id "
            "JOIN service ON service.id = service_id ORDER BY version.id"
        ).fetchall()
        spans = connection.execute(
            "SELECT terms_id, count(*) FROM span WHERE last_version_id IS NULL GROUP BY terms_id"
        ).fetchall()
        latest = dict(connection.execute("SELECT id, latest_version_id FROM terms").fetchall())
        unexplained = connection.execute(
            "SELECT count(*) FROM change WHERE state = 'told' AND id NOT IN (SELECT change_id FROM alert)"
        ).fetchone()[0]
        unsent = connection.execute(
            "SELECT count(*) FROM alert WHERE id NOT IN (SELECT alert_id FROM notification)"
        ).fetchone()[0]
    finally:
        connection.close()
    found += [f"{unexplained} told changes without an alert"] if unexplained else []
    found += [f"{unsent} alerts without a notification"] if unsent else []
    for path, sha256 in snapshots:
        file = folder / "snapshots" / path
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != sha256:
            found.append(f"snapshot {path} is missing or differs")
    archive = Archive(f"sqlite:///{folder / 'archive.sqlite'}")
    try:
        versions = {one.id: one for row in archive.browse.documents() for one in archive.browse.versions(row.key)}
        previous = b""
        for version_id, service, type_, link in links:
            version = versions[version_id]
            if hashlib.sha256(join(archive.browse.clauses(version_id)).encode()).digest() != version.digest:
                found.append(f"version {version_id} does not rebuild")
            if chain(previous, TermsKey(service, type_), version.at, version.digest) != link:
                found.append(f"the chain breaks at version {version_id}")
            previous = link
        for terms_id, standing in spans:
            distinct = {clause.text for clause in archive.browse.clauses(latest[terms_id])}
            if len(distinct) != standing:
                found.append(
                    f"terms {terms_id}: {standing} clauses stand by their spans, {len(distinct)} by the version"
                )
    finally:
        archive.close()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write the figures there, too")
    arguments = parser.parse_args()
    show = (lambda text: print(text, end="\r", file=sys.stderr)) if sys.stderr.isatty() else (lambda text: None)
    with tempfile.TemporaryDirectory(prefix="tosmon-kill-") as folder:
        figures = run(arguments.kills, arguments.seed, Path(folder), show)
    text = json.dumps(asdict(figures) | {"sound": figures.sound})
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0 if figures.sound else 1


if __name__ == "__main__":
    sys.exit(main())
