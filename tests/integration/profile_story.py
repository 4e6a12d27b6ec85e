"""Documents recorded and judged as a check would do it, told and untold, for tests of profiles and of judging again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from tosmon import publish
from tosmon.archive import Archive, Envelope, NewChange, Recording, Telling
from tosmon.clauses import canonical_digest, split
from tosmon.compare import compare
from tosmon.judge import Rules, judge
from tosmon.model import (
    Addressee,
    AlertKind,
    ChangeState,
    Comparison,
    Form,
    Judgement,
    Outcome,
    SourceDocument,
    Terms,
    TermsKey,
    Verdict,
    Version,
)
from tosmon.track.alerts import compose

START = datetime(2024, 1, 1, 12, tzinfo=UTC)
NOW = datetime(2026, 5, 3, 9, tzinfo=UTC)
NAMES = {"Inkwell": "Inkwell Studio"}


def terms_of(key: TermsKey) -> Terms:
    return Terms(
        key,
        NAMES.get(key.service, key.service),
        Form((SourceDocument(f"https://{key.service.lower()}.example/terms"),)),
    )


def declare(archive: Archive, *keys: TermsKey) -> None:
    archive.declare([terms_of(key) for key in keys], START)


def record(
    archive: Archive,
    key: TermsKey,
    text: str,
    day: int,
    rules: Rules,
    *,
    state: ChangeState = ChangeState.TOLD,
    language: str | None = "en",
) -> int | None:
    """A new text, seen so many days after the start; the id of the change it makes."""
    at = START + timedelta(days=day)
    [standing] = archive.claim([key], at, timedelta(minutes=5))
    clauses = split(text)
    version = Version(
        clauses,
        at,
        hashlib.sha256(text.encode()).digest(),
        canonical_digest(clauses),
        len(text.split()),
        language=language,
    )
    change = None
    if standing.latest is not None:
        comparison = compare(archive.browse.clauses(standing.latest.id), clauses)
        terms = terms_of(key)
        judgement = judge(comparison, rules, service_name=terms.service_name, type=key.type, at=at.date())
        tell = _telling(terms, comparison, judgement, at) if state is ChangeState.TOLD else None
        change = NewChange(standing.latest.id, judgement, comparison, state, "seen twice", tell)
    return archive.record(
        Recording(
            standing,
            at,
            at,
            Verdict.OK,
            Outcome.CHANGED if change else Outcome.FIRST,
            "",
            NOW + timedelta(hours=1),
            0,
            version=version,
            change=change,
            seen=True,
        )
    ).change_id


def history(archive: Archive, key: TermsKey, texts: Sequence[str], rules: Rules) -> list[int]:
    """The texts, ten days apart; the ids of the changes between them."""
    made = [record(archive, key, text, 10 * number, rules) for number, text in enumerate(texts)]
    return [change_id for change_id in made if change_id is not None]


def _telling(terms: Terms, comparison: Comparison, judgement: Judgement, at: datetime) -> Telling:
    def tell(change_id: int, version_id: int):  # type: ignore[no-untyped-def]
        uid = publish.alert_uid("terms.example.org", date(2024, 1, 1), change_id, AlertKind.CHANGE)
        alert = compose(
            AlertKind.CHANGE, uid, terms, comparison, judgement, at=at, change_id=change_id, version_id=version_id
        )
        envelopes = [Envelope(Addressee("email", "ada@example.org"), f"<{change_id}@terms.example.org>")]
        return alert, envelopes, [feed.path for feed in publish.feeds_for(alert)]

    return tell


HEAD = "# Terms\n\nInkwell Studio shows paintings. A subscription costs five crowns a month.\n\n## Your content\n\n"
KEEP = "You retain ownership of all content that you upload.\n\n"
LICENCE = "You grant us a worldwide, perpetual and royalty-free licence to use, reproduce and modify your content.\n\n"
NARROW = "You grant us a worldwide, non-exclusive licence to display your content while you use the service.\n\n"
NEVER = "We will never use your content to train artificial intelligence models.\n\n"
TRAINS = "We may use your content to train our artificial intelligence models.\n\n"
OPT_OUT = "We may use your content to train our AI models, unless you opt out in your settings.\n\n"
FACES = "We collect and store face templates of the people in your photos.\n\n"
SEATS = "We may limit the number of seats in each studio.\n\n"

FACES_PACK = """
pack: faces
language: en
topic: biometrics
about: What may be done with faces.
stems: ['\\bface']
rules:
  - id: biometrics.collect
    actor: provider
    stance: may
    says: collect your face
    why: Biometric features cannot be changed once they are known.
    patterns: ['(?:collect|store|keep|scan)\\w*[^;]{0,60}\\bface templates?']
    unless: ['\\bdo not\\b']
    examples:
      match: ['We collect and store face templates of the people in your photos.']
      no_match: ['We do not collect face templates.']
"""
