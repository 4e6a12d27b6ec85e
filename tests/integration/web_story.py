"""A filled archive to browse: a year in the life of invented platforms, recorded as a check would record it.

Every kind of thing that pages must show is in it: a training licence announced ahead, a promise removed, an opt-out
added, renumbering, a rewrite of 20,000 words, right-to-left and East Asian texts, an A/B flap, an incident, a silent
edit, and a platform that tries to break whoever reads it. `tell` is the only thing to call.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from tosmon import publish
from tosmon.archive import Archive, Envelope, NewChange, Recording, Settled, Snapshots, Telling
from tosmon.clauses import canonical_digest, heading_paths, split
from tosmon.compare import compare
from tosmon.model import (
    Addressee,
    AlertKind,
    ChangeState,
    Comparison,
    Direction,
    Flag,
    Form,
    Judgement,
    Outcome,
    Quote,
    Response,
    Severity,
    SourceDocument,
    Terms,
    TermsKey,
    Validators,
    Verdict,
    Version,
)
from tosmon.publish import FeedSettings
from tosmon.track.alerts import compose

NOW = datetime(2026, 11, 3, 9, 12, tzinfo=UTC)
AUTHORITY, STARTED = "terms.example.org", date(2025, 10, 1)
SETTINGS = FeedSettings("Terms watch", "https://terms.example.org", AUTHORITY, STARTED)

INKWELL = TermsKey("Inkwell", "Terms of Service")
BRUSHWORK = TermsKey("Brushwork", "Terms of Service")
TONSPUR = TermsKey("Tonspur", "Terms of Service")
MARSAM = TermsKey("Marsam", "Terms of Service")
EHONDO = TermsKey("Ehondo", "Community Guidelines")
HOSTILE = TermsKey("Grimware", "Terms of Service")
LONGFORM = TermsKey("Longform", "Terms of Service")
DRIFTNET = TermsKey("Driftnet", "Privacy Policy")
FOTOFELD = TermsKey("Fotofeld", "Privacy Policy")

_NAMES = {
    "Inkwell": "Inkwell Studio",
    "Ehondo": "絵本堂",
    "Marsam": "مرسم",
    "Grimware": 'Grimware <img src=x onerror="alert(1)">',
}
_LANGUAGES = {"Tonspur": "de", "Marsam": "ar", "Ehondo": "ja"}


@dataclass
class Told:
    """What was recorded, by a short name: ids of changes and versions."""

    changes: dict[str, int] = field(default_factory=dict)
    versions: dict[TermsKey, list[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Quoted:
    """A flag by the words it rests on; the clause they stand in is looked up."""

    topic: str
    direction: Direction
    what: str
    before: str = ""
    after: str = ""
    why: str = ""


@dataclass
class _Teller:
    archive: Archive
    snapshots: Snapshots
    told: Told

    def look(
        self,
        key: TermsKey,
        markdown: str,
        at: datetime,
        *,
        name: str = "",
        headline: str = "",
        severity: Severity = Severity.LOW,
        flags: Sequence[_Quoted] = (),
        effective: date | None = None,
        summary: str = "",
        silent: bool = False,
        state: ChangeState = ChangeState.TOLD,
        reason: str = "seen twice",
        settled: tuple[Settled, ...] = (),
    ) -> None:
        [standing] = self.archive.claim([key], at, timedelta(minutes=5))
        clauses = split(markdown)
        digest = hashlib.sha256(markdown.encode()).digest()
        version = Version(
            clauses, at, digest, canonical_digest(clauses), len(markdown.split()), language=_LANGUAGES.get(key.service)
        )
        terms = _terms(key)
        body = f"<!doctype html><title>{key}</title><script>evil()</script><pre>{markdown}</pre>".encode()
        response = Response(
            terms.url, terms.url, 200, (("Content-Type", "text/html"),), body, at, (("User-Agent", "tosmon/1"),)
        )
        snapshot = self.snapshots.keep(key, [response])
        change = None
        if standing.latest is not None:
            comparison = compare(self.archive.browse.clauses(standing.latest.id), clauses)
            judgement = Judgement(
                state is not ChangeState.SUPPRESSED,
                reason,
                severity,
                headline or f"{terms.service_name} {key.type}: changed",
                tuple(_flag(quoted, comparison) for quoted in flags),
                effective,
                silent=silent,
                summary=summary,
            )
            tell = None if state is not ChangeState.TOLD else _telling(terms, comparison, judgement, at)
            change = NewChange(standing.latest.id, judgement, comparison, state, reason, tell)
        recorded = self.archive.record(
            Recording(
                standing,
                at,
                at + timedelta(seconds=2),
                Verdict.OK,
                Outcome.CHANGED if change else Outcome.FIRST,
                "",
                NOW + timedelta(minutes=17),
                0,
                status=200,
                snapshot=snapshot,
                version=version,
                change=change,
                settled=settled,
                seen=True,
                validators={terms.url: Validators()},
            )
        )
        assert recorded.version_id is not None
        self.told.versions.setdefault(key, []).append(recorded.version_id)
        if name and recorded.change_id is not None:
            self.told.changes[name] = recorded.change_id

    def same(self, key: TermsKey, at: datetime) -> None:
        """A look that found nothing new."""
        [standing] = self.archive.claim([key], at, timedelta(minutes=5))
        due = NOW + timedelta(minutes=40)
        self.archive.record(Recording(standing, at, at, Verdict.OK, Outcome.UNCHANGED, "", due, 0, status=304))

    def blocked(self, key: TermsKey, at: datetime, verdict: Verdict, detail: str) -> None:
        [standing] = self.archive.claim([key], at, timedelta(minutes=5))
        due = NOW + timedelta(hours=3)
        self.archive.record(Recording(standing, at, at, verdict, Outcome.FAILED, detail, due, 3, status=403))


def _terms(key: TermsKey) -> Terms:
    url = f"https://{key.service.lower()}.example/{key.type.split()[0].lower()}"
    tags = ("art",) if key.service in ("Inkwell", "Brushwork", "Marsam") else ("media",)
    return Terms(key, _NAMES.get(key.service, key.service), Form((SourceDocument(url),)), tags=tags)


def _flag(quoted: _Quoted, comparison: Comparison) -> Flag:
    def quotes(words: str, side: str) -> tuple[Quote, ...]:
        clauses = comparison.before if side == "before" else comparison.after
        paths = heading_paths(clauses)
        for number, clause in enumerate(clauses):
            if words and (start := clause.text.find(words)) >= 0:
                return (Quote(words, number, start, start + len(words), paths[number]),)
        assert not words, words
        return ()

    before, after = quotes(quoted.before, "before"), quotes(quoted.after, "after")
    return Flag(quoted.topic, quoted.direction, quoted.what, before, after, why=quoted.why)


def _telling(terms: Terms, comparison: Comparison, judgement: Judgement, at: datetime) -> Telling:
    def tell(change_id: int, version_id: int):  # type: ignore[no-untyped-def]
        uid = publish.alert_uid(AUTHORITY, STARTED, change_id, AlertKind.CHANGE)
        alert = compose(
            AlertKind.CHANGE, uid, terms, comparison, judgement, at=at, change_id=change_id, version_id=version_id
        )
        addressees = [Envelope(Addressee("email", "ada@example.org"), f"<{change_id}@tosmon>")]
        return alert, addressees, [feed.path for feed in publish.feeds_for(alert)]

    return tell


# --- the story ----------------------------------------------------------------------------------------------------


def tell(archive: Archive, snapshots: Path) -> Told:
    """Record everything; the same ids each time in a fresh archive."""
    teller = _Teller(archive, Snapshots(snapshots), Told())
    keys = [INKWELL, TermsKey("Inkwell", "Privacy Policy"), BRUSHWORK, TONSPUR, MARSAM, EHONDO, HOSTILE, LONGFORM]
    keys += [DRIFTNET, FOTOFELD, *(TermsKey(service, "Terms of Service") for service in _QUIET_ONES)]
    archive.declare([_terms(key) for key in keys], NOW - timedelta(days=390))
    _background(teller)
    _inkwell(teller)
    _brushwork(teller)
    _tonspur(teller)
    _marsam(teller)
    _ehondo(teller)
    _grimware(teller)
    _longform(teller)
    _flap(teller)
    teller.look(DRIFTNET, _policy("Driftnet"), NOW - timedelta(days=200))
    for hours in (30, 18, 2):
        teller.blocked(
            DRIFTNET, NOW - timedelta(hours=hours), Verdict.BLOCKED, "a challenge: “Checking your browser” (403)"
        )
    for key in keys:
        if key != DRIFTNET:
            teller.same(key, NOW - timedelta(minutes=23))
    return teller.told


_QUIET_ONES = ("Clayworks", "Papernest", "Lanternfish")


def _background(teller: _Teller) -> None:
    chance = random.Random(7)
    for service in _QUIET_ONES:
        key = TermsKey(service, "Terms of Service")
        at = NOW - timedelta(days=380, hours=chance.randrange(20))
        fee, notice = 10, 30
        while at < NOW - timedelta(days=9):
            text = _terms_text(service).replace("10 percent", f"{fee} percent").replace("30 days", f"{notice} days")
            teller.look(
                key,
                text,
                at,
                headline=f"{service} Terms of Service: fee now {fee} percent, notice period {notice} days",
                severity=chance.choice((Severity.LOW, Severity.LOW, Severity.MEDIUM)),
            )
            fee, notice = fee + 1, notice + chance.choice((-1, 1, 2))
            at += timedelta(days=chance.randrange(12, 70), hours=chance.randrange(20))


TRAINING = (
    "You agree that this license includes the right for us and our partners to use Content to train, improve and "
    "evaluate our machine-learning and artificial intelligence models, whether generative or of another type."
)
PROMISE = "We will never use your artwork to train generative models."


def _terms_text(name: str, *, promise: bool = False, training: bool = False, section: str = "") -> str:
    """Terms as such platforms write them, about six hundred words."""
    licence = (
        "By submitting, posting or displaying Content on or through the Services, you grant us a worldwide, "
        "non-exclusive, royalty-free license (with the right to sublicense) to use, copy, reproduce, process, adapt, "
        "modify, publish, transmit, display and distribute such Content in any and all media, so that we can "
        "operate the Services."
    )
    number = iter(range(1, 30))
    parts = [
        f"# {name} Terms of Service",
        f"These terms govern your use of {name}. Please read them with care; they tell you what we may do with what "
        "you make, and what you may expect of us.",
        f"## {next(number)}. Who may use the Services",
        "You may use the Services only if you agree to form a binding contract with us and are not a person barred "
        "from receiving services under the laws of the applicable jurisdiction. You must be at least 16 years old.",
        "- You are responsible for the account you open.",
        "- You keep your password to yourself, and tell us at once if it is lost.",
        "- You do not open accounts by automated means.",
        f"## {next(number)}. Your content",
        "You retain your rights to any Content you submit, post or display on or through the Services. What’s yours "
        "is yours: you own your Content.",
        licence,
    ]
    if promise:
        parts.append(PROMISE)
    if training:
        parts.append(TRAINING)
    parts += [
        "You represent that you have, or have obtained, all rights needed to grant this license.",
        f"## {next(number)}. Fees",
        "We keep 10 percent of each sale. Fees are shown before you publish a work, and never change for works that "
        f"are sold already. See [the list of fees](https://{name.lower()}.example/fees).",
        "| Kind of sale | Our share |\n| --- | --- |\n| Print | 10 percent |\n| Download | 8 percent |",
    ]
    if section:
        parts += [f"## {next(number)}. Artificial intelligence", section]
    parts += [
        f"## {next(number)}. Ending your account",
        "You may end your agreement with us at any time by closing your account. We may suspend or close it with "
        "30 days of notice, or at once if you break the law or these terms.",
        f"## {next(number)}. Liability",
        "To the extent permitted by law, we are **not liable** for indirect or consequential damages, or for loss of "
        "profits, data or goodwill.",
        f"## {next(number)}. Changes to these terms",
        "We may revise these terms from time to time. We will try to tell you of material changes in good time, for "
        "example by mail.",
        f"## {next(number)}. How to reach us",
        f"Write to legal@{name.lower()}.example, or to 1 Harbour Road, Port Amber.",
    ]
    return "\n\n".join(parts)


def _policy(name: str, *, days: int = 90, sharing: str = "") -> str:
    parts = [
        f"# {name} Privacy Policy",
        "Last updated: 2 January 2026",
        "## What we collect",
        "We collect what you give us: your name, your mail address and what you upload.",
        "## How long we keep it",
        f"We keep logs for {days} days and your uploads until you delete them.",
        "## Whom we share it with",
        sharing or "We share data with processors that host the Services for us.",
    ]
    return "\n\n".join(parts)


def _inkwell(teller: _Teller) -> None:
    before = _terms_text("Inkwell")
    teller.look(INKWELL, before, NOW - timedelta(days=370))
    quotes = before.replace("What’s", "What's")
    cosmetic = "cosmetic: the same words"
    teller.look(
        INKWELL, quotes, NOW - timedelta(days=120), name="cosmetic", state=ChangeState.SUPPRESSED, reason=cosmetic
    )
    after = _terms_text("Inkwell", training=True).replace(
        "so that we can operate the Services.",
        "for any purpose, including to operate, promote and improve the Services.",
    )
    after = after.replace("These terms govern", "Effective: 1 December 2026\n\nThese terms govern")
    after = after.replace("at least 16 years", "at least 13 years")
    teller.look(
        INKWELL,
        after,
        NOW - timedelta(hours=3, minutes=4),
        name="training",
        headline="Inkwell Terms of Service: may train AI models on your content; licence now for any purpose; "
        "from 1 Dec 2026",
        severity=Severity.HIGH,
        effective=date(2026, 12, 1),
        flags=[
            _Quoted(
                "ai_training",
                Direction.WORSE,
                "Inkwell and its partners may now train AI models on your content.",
                after="use Content to train, improve and evaluate our machine-learning and artificial intelligence "
                "models, whether generative or of another type",
            ),
            _Quoted(
                "content_license",
                Direction.WORSE,
                "The licence to your content now covers any purpose.",
                before="so that we can operate the Services",
                after="for any purpose, including to operate, promote and improve the Services",
            ),
        ],
    )
    privacy = TermsKey("Inkwell", "Privacy Policy")
    teller.look(privacy, _policy("Inkwell"), NOW - timedelta(days=370))
    teller.look(
        privacy,
        _policy("Inkwell", days=365),
        NOW - timedelta(days=33),
        headline="Inkwell Privacy Policy: logs kept for 365 days instead of 90",
        severity=Severity.MEDIUM,
        silent=True,
    )


def _brushwork(teller: _Teller) -> None:
    with_promise = _terms_text("Brushwork", promise=True)
    teller.look(BRUSHWORK, with_promise, NOW - timedelta(days=300))
    teller.look(
        BRUSHWORK,
        _terms_text("Brushwork"),
        NOW - timedelta(days=45),
        name="promise",
        headline="Brushwork Terms of Service: promise never to train on your artwork removed",
        severity=Severity.HIGH,
        flags=[
            _Quoted(
                "ai_training",
                Direction.WORSE,
                "A promise is gone: nothing rules out training on your artwork any more.",
                before=PROMISE,
            )
        ],
    )
    opt_out = (
        "We use uploads to train models that suggest tags. You may switch this off at any time under Settings, "
        "Privacy, “Train on my work”; it then no longer happens from the next day on."
    )
    renumbered = _terms_text("Brushwork", section=opt_out)
    teller.look(
        BRUSHWORK,
        renumbered,
        NOW - timedelta(days=4),
        name="renumbered",
        headline="Brushwork Terms of Service: trains models on uploads unless you switch it off",
        severity=Severity.HIGH,
        flags=[
            _Quoted(
                "ai_training",
                Direction.MIXED,
                "Uploads train models that suggest tags, and there is a switch to turn it off.",
                after="You may switch this off at any time under Settings",
            )
        ],
    )


def _tonspur(teller: _Teller) -> None:
    before = (
        "# Nutzungsbedingungen von Tonspur\n\n## § 1 Geltung\n\nDiese Bedingungen gelten für alle, die Tonspur nutzen."
        "\n\n## § 2 Rechte an Ihren Aufnahmen\n\nSie räumen uns das einfache Recht ein, Ihre Aufnahmen öffentlich "
        "zugänglich zu machen.\n\nWir dürfen Ihre Aufnahmen zum Training künstlicher Intelligenz verwenden.\n\n"
        "## § 3 Kündigung\n\nSie können jederzeit kündigen."
    )
    after = before.replace(
        "Wir dürfen Ihre Aufnahmen zum Training künstlicher Intelligenz verwenden.",
        "Wir verwenden Ihre Aufnahmen nicht zum Training künstlicher Intelligenz, es sei denn, Sie haben dem in den "
        "Einstellungen ausdrücklich zugestimmt.",
    )
    teller.look(TONSPUR, before, NOW - timedelta(days=330))
    teller.look(
        TONSPUR,
        after,
        NOW - timedelta(days=12),
        name="german",
        headline="Tonspur Terms of Service: trains AI only on recordings of those who agree",
        severity=Severity.HIGH,
        effective=date(2026, 10, 25),
        flags=[
            _Quoted(
                "ai_training",
                Direction.BETTER,
                "Training needs your express consent now.",
                before="Wir dürfen Ihre Aufnahmen zum Training künstlicher Intelligenz verwenden",
                after="nicht zum Training künstlicher Intelligenz, es sei denn, Sie haben dem in den Einstellungen "
                "ausdrücklich zugestimmt",
            )
        ],
    )


def _marsam(teller: _Teller) -> None:
    before = (
        "# شروط استخدام مرسم\n\n## ١. المحتوى الخاص بك\n\nتحتفظ بجميع حقوقك في الأعمال التي تنشرها على مرسم.\n\n"
        "لن نستخدم أعمالك لتدريب نماذج الذكاء الاصطناعي.\n\n## ٢. إنهاء الحساب\n\nيمكنك إغلاق حسابك في أي وقت."
    )
    after = before.replace(
        "لن نستخدم أعمالك لتدريب نماذج الذكاء الاصطناعي.",
        "يجوز لنا ولشركائنا استخدام أعمالك لتدريب نماذج الذكاء الاصطناعي ما لم تعترض على ذلك.",
    )
    teller.look(MARSAM, before, NOW - timedelta(days=250))
    teller.look(
        MARSAM,
        after,
        NOW - timedelta(days=1, hours=5),
        name="arabic",
        headline="مرسم Terms of Service: may train AI models on your works unless you object",
        severity=Severity.HIGH,
        effective=date(2027, 1, 1),
        flags=[
            _Quoted(
                "ai_training",
                Direction.WORSE,
                "A promise not to train became a right to train unless you object.",
                before="لن نستخدم أعمالك لتدريب نماذج الذكاء الاصطناعي",
                after="استخدام أعمالك لتدريب نماذج الذكاء الاصطناعي ما لم تعترض على ذلك",
            )
        ],
    )


def _ehondo(teller: _Teller) -> None:
    before = (
        "# 絵本堂 コミュニティガイドライン\n\n## 投稿について\n\n他人の作品を無断で転載してはいけません。\n\n"
        "## 連絡先\n\nお問い合わせはサポートまで。"
    )
    after = before.replace("## 連絡先", "生成AIによる作品には、その旨を明記してください。\n\n## 連絡先")
    teller.look(EHONDO, before, NOW - timedelta(days=220))
    teller.look(
        EHONDO,
        after,
        NOW - timedelta(days=60),
        name="japanese",
        headline="絵本堂 Community Guidelines: works made with generative AI must be labelled",
        severity=Severity.LOW,
        flags=[
            _Quoted(
                "ai_other", Direction.NEUTRAL, "Label works made by AI.", after="生成AIによる作品には、その旨を明記"
            )
        ],
    )


HOSTILE_TEXT = (
    "# <script>alert('title')</script> \u202eterms\n\n"
    "Click [here](javascript:alert(1)) or [there](data:text/html,<script>alert(2)</script>) or "
    '[here](https://grimware.example/"onmouseover="alert(3)).\n\n'
    "</p></main><script>alert(4)</script><img src=x onerror=alert(5)>\n\n"
    "![pixel](https://tracker.grimware.example/p.gif)\n\n"
    '<iframe srcdoc="<script>alert(6)</script>"></iframe> {{ 7*7 }} {% raw %} \x1b[31m red \x00 nul'
)


def _grimware(teller: _Teller) -> None:
    teller.look(HOSTILE, HOSTILE_TEXT, NOW - timedelta(days=100))
    added = "<svg onload=alert(7)> We sell <b>everything</b> you \u202eevol\u202c \"'><script>alert(8)</script>"
    teller.look(
        HOSTILE,
        f"{HOSTILE_TEXT}\n\n{added}",
        NOW - timedelta(days=6),
        name="hostile",
        headline="</title><script>alert(9)</script> Grimware \u202eTerms",
        severity=Severity.MEDIUM,
        summary="<script>alert(10)</script>",
        reason="<script>alert(11)</script>",
        flags=[_Quoted("<script>alert(12)</script>", Direction.WORSE, "<b onclick=alert(13)>x</b>", after=added)],
    )


def _longform(teller: _Teller) -> None:
    chance = random.Random(3)
    vocabulary = (
        "the service you content account may use rights agree terms provide data license party notice law claim "
        "liability information access user time reasonable written request purpose applicable including without "
        "limitation any shall not our policy material third"
    )
    words = vocabulary.split()

    def sentence() -> str:
        drawn = " ".join(chance.choice(words) for _ in range(chance.randrange(14, 40)))
        return f"{drawn[:1].upper()}{drawn[1:]}."

    sections = [[" ".join(sentence() for _ in range(4)) for _ in range(6)] for _ in range(32)]
    sections = sections[:32]

    def text() -> str:
        return "\n\n".join(
            f"## {number}. Section {number}\n\n" + "\n\n".join(clauses) for number, clauses in enumerate(sections, 1)
        )

    teller.look(LONGFORM, text(), NOW - timedelta(days=210))
    for clauses in sections:
        for number, clause in enumerate(clauses):
            tokens = clause.split()
            for place in range(0, len(tokens), chance.randrange(5, 12)):
                tokens[place] = chance.choice(words)
            clauses[number] = " ".join(tokens)
        chance.shuffle(clauses)
    teller.look(
        LONGFORM,
        text(),
        NOW - timedelta(days=20),
        name="rewrite",
        headline="Longform Terms of Service: rewritten throughout",
        severity=Severity.MEDIUM,
        effective=date(2026, 11, 30),
    )


def _flap(teller: _Teller) -> None:
    a, b = _policy("Fotofeld"), _policy("Fotofeld", sharing="We share data with processors and partners.")
    teller.look(FOTOFELD, a, NOW - timedelta(days=90))
    teller.look(
        FOTOFELD,
        b,
        NOW - timedelta(days=80),
        name="withdrawn",
        headline="Fotofeld Privacy Policy: data shared with partners too",
        severity=Severity.MEDIUM,
    )
    told = teller.told.changes["withdrawn"]
    back = Settled(told, ChangeState.WITHDRAWN, "the text of before stands again since 2026-08-18")
    for days, text in ((77, a), (70, b), (60, a)):
        teller.look(
            FOTOFELD,
            text,
            NOW - timedelta(days=days),
            state=ChangeState.SUPPRESSED,
            reason="a known text: it stood before",
            headline="Fotofeld Privacy Policy: an earlier text again",
            settled=(back,) if days == 60 else (),
        )


def feed_settings() -> FeedSettings:
    return replace(SETTINGS)
