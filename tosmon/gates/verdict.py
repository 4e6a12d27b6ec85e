"""Say whether an observation is the document, whole, or something else that came in its place.

Platforms answer with challenges, sign-in forms, error pages and halves of pages, mostly with status 200. Each would
look like a change of the terms, and 32 of 877 texts of the reference archive are such ruins. Judged by how long the text
is, against the last good one where there is one, and then by what the answer is made of: real terms mention captchas,
log-ins and missing pages too, so a word alone condemns nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from tosmon.gates import signs
from tosmon.gates.likeness import count, likeness
from tosmon.gates.signs import Face
from tosmon.language import alike, guess_language
from tosmon.model import Observation, Reading, Response, Terms, Verdict

COLLAPSE = 0.3
"""Below this share of a long last good text nothing is believed at once: of 383 such drops on record 335 recovered."""

PART_SEPARATOR = "\n\n- - -\n\n"
"""What parts the source documents of one text (Open Terms Archive's form)."""

_FEWEST_WORDS = 10
_NEXT_TO_NOTHING = 25
_SHORT = 250
_SHORT_FACE = 450
_LOSS = 0.5
_ALIKE = 0.5
_PART_SHORT = 60
# An imprint of two hundred words may well be cut to sixty: a ruin leaves a heading of a long text.
_LITTLE = 200
_RUIN = 0.15
# Control, private and replacement characters: no writer writes them, but for an icon here and there.
_STRANGE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ue000-\uf8ff\ufffd\U000f0000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class LastGood:
    """What the last whole observation of a document was like.

    `words` as `tosmon.clauses.words` counts them; `missing` the selectors that matched nothing even then. With `text`
    what came can be compared with what stood, which spares false incidents (a moved page with the same text).
    """

    words: int
    final_urls: tuple[str, ...] = ()
    language: str | None = None
    missing: tuple[str, ...] = ()
    text: str = ""


def verdict(
    responses: Sequence[Response], reading: Reading | None, *, terms: Terms, last_good: LastGood | None
) -> Observation:
    """What a look at `terms` is worth; `reading` is `None` when the bytes could not be read as text.

    Only an `OK` observation carries its reading. The detail of any other says what to do about it.
    """
    refused = next((found for response in responses if (found := _refused(response))), None)
    if refused is not None:
        return refused
    if reading is None or _is_garbage(reading.text):
        return Observation(
            Verdict.UNREADABLE,
            "the answer holds no text (a scan, a broken file, bytes of another kind); look at the URL",
        )
    look = _look(tuple(responses), reading, terms, last_good)
    for gate in (_instead, _empty, _wrong_language, _moved, _selector_lost, _collapsed):
        found = gate(look)
        if found is not None:
            return found
    return Observation(Verdict.OK, "", reading)


@dataclass(frozen=True, slots=True)
class _Look:
    """All that the gates ask about. `words_before` is 0 and `alike` false when there is no last good text.

    `parts` is the text of each response, or all of it for each where that cannot be told; `lacks_part` when one that
    gave text before (or never did) gives none.
    """

    responses: tuple[Response, ...]
    reading: Reading
    terms: Terms
    last: LastGood | None
    parts: tuple[str, ...]
    lacks_part: bool
    words: int
    words_before: int
    alike: bool

    @property
    def share(self) -> float:
        """The length of the text against the last good one; 1 without one."""
        return self.words / self.words_before if self.words_before else 1.0


def _look(responses: tuple[Response, ...], reading: Reading, terms: Terms, last: LastGood | None) -> _Look:
    before = last.text if last is not None else ""
    parts = tuple(reading.text.split(PART_SEPARATOR)) if len(responses) > 1 else (reading.text,)
    return _Look(
        responses,
        reading,
        terms,
        last,
        parts=parts if len(parts) == len(responses) else (reading.text,) * len(responses),
        lacks_part=len(parts) < min(len(responses), before.count(PART_SEPARATOR) + 1 if before else len(responses)),
        words=count(reading.text),
        words_before=count(before) if before else last.words if last is not None else 0,
        alike=bool(before) and likeness(before, reading.text) >= _ALIKE,
    )


# --- by the answer itself ----------------------------------------------------------------------------------------


def _refused(response: Response) -> Observation | None:
    status = response.status
    if response.header("cf-mitigated") or response.header("x-amzn-waf-action"):
        return _blocked(response, "a challenge for browsers")
    if status == 503:
        return Observation(
            Verdict.BLOCKED,
            f"{response.final_url} answers {_named(status)}: it is down for now, or refuses us; it is tried again by "
            "itself, and if it stays so, set a contact, ask the platform, or try `browser: true`",
        )
    if status in (403, 429):
        return _blocked(response, f"status {status}")
    if status in (401, 407, 511):
        return Observation(
            Verdict.LOGIN, f"{response.final_url} answers {status}: it wants a log-in; find a public URL"
        )
    if status >= 500:
        return Observation(
            Verdict.UNREACHABLE, f"{response.final_url} answers {_named(status)}; wait, it is broken on their side"
        )
    if status >= 400:
        return Observation(
            Verdict.GONE,
            f"{response.final_url} answers {_named(status)}; find where the terms are now and change the URL",
        )
    if status >= 300:
        return Observation(Verdict.MOVED, f"{response.final_url} answers {_named(status)} without saying where to")
    return None


def _blocked(response: Response, what: str) -> Observation:
    return Observation(
        Verdict.BLOCKED,
        f"{response.final_url} answers with {what}; look less often, set a contact, ask the platform, "
        "or try `browser: true`",
    )


def _named(status: int) -> str:
    try:
        return f"{status} ({HTTPStatus(status).phrase})"
    except ValueError:
        return str(status)


def _is_garbage(text: str) -> bool:
    sample = text[:20_000]
    return len(sample) >= 20 and len(_STRANGE.findall(sample)) > 0.05 * len(sample)


# --- something else in its place -----------------------------------------------------------------------------------


def _instead(look: _Look) -> Observation | None:
    for response, text in zip(look.responses, look.parts, strict=True):
        if _in_doubt(look, response, text):
            found = _other_kind(response, text)
            if found is not None:
                return found
    return None


def _in_doubt(look: _Look, response: Response, text: str) -> bool:
    """Whether a text is short enough to be something else. One that says what the last good one said is not."""
    if len(look.responses) > 1:
        # Of several parts we do not know how long each was; most are long, and an error page is shorter than any.
        return count(text) < (_PART_SHORT if look.alike else _SHORT) or _is_titled_error(response, text)
    if look.alike and look.share >= _LOSS:
        return False
    return look.words < _SHORT or look.share < _LOSS or _is_titled_error(response, text)


def _is_titled_error(response: Response, text: str) -> bool:
    titles = signs.title_parts(response.body)
    return any(signs.ERROR_TITLE.search(title) for title in (*titles, signs.first_heading(text) or ""))


def _other_kind(response: Response, text: str) -> Observation | None:
    """What a short text is instead of terms. With next to no text, all that the visitor sees is read in its place."""
    face = Face(response)
    where = response.final_url
    nothing = count(text) < _NEXT_TO_NOTHING
    shown = f"{text} {face.text}" if nothing else text
    short = count(shown) < _SHORT
    title = face.titled(signs.CHALLENGE_TITLE) if face.words < _SHORT_FACE else None
    challenge = title or _says(signs.CHALLENGE, text) or (signs.said(signs.CHALLENGE, shown) if short else None)
    if challenge or (nothing and short and signs.CHALLENGE_MARKUP.search(response.body)):
        return _blocked(response, f"a challenge (“{(challenge or 'captcha')[:80]}”)")
    if short and signs.times(signs.CONSENT, shown) >= 2:
        return Observation(
            Verdict.BLOCKED, f"{where} shows a consent wall; select the terms behind it, or try `browser: true`"
        )
    login = _login(face, shown)
    if login:
        return Observation(
            Verdict.LOGIN, f"{where} shows a log-in ({login}); find a public URL of the same terms and declare that"
        )
    title = face.titled(signs.ERROR_TITLE) if face.words < 4 * _SHORT else None
    error = title or _says(signs.ERROR, text) or (signs.said(signs.ERROR, shown) if short else None)
    if error:
        return Observation(
            Verdict.SOFT_404,
            f"{where} shows an error page with status {response.status} (“{error[:80]}”); "
            "wait, or change the URL if it stays",
        )
    return None


def _says(sign: re.Pattern[str], text: str) -> str | None:
    """What a few lines say of themselves, whatever menus stood around them."""
    return signs.said(sign, text) if count(text) < _PART_SHORT else None


def _login(face: Face, shown: str) -> str | None:
    """What makes a page a log-in: its address, or two signs that a page of terms does not bear together."""
    response = face.response
    if signs.LOGIN_PATH.search(response.final_url) and not signs.LOGIN_PATH.search(response.url):
        return f"the address {response.final_url}"
    if face.words >= _SHORT_FACE:
        return None
    title = face.titled(signs.LOGIN_TITLE)
    signs_of_it = bool(title) + face.has_password + bool(signs.said(signs.LOGIN, shown))
    if signs_of_it < 2:
        return None
    return f"“{title[:80]}”" if title else "a field for a password"


def _empty(look: _Look) -> Observation | None:
    enough = look.words >= _FEWEST_WORDS or (look.words and look.alike)
    if enough and not look.lacks_part and all(part.strip() for part in look.parts):
        return None
    if enough:
        return Observation(Verdict.EMPTY, "one of its source documents gave no text; look at each URL and its `select`")
    face_words = max((Face(response).words for response in look.responses), default=0)
    if look.reading.missing and face_words >= _SHORT_FACE:
        return _lost(look.reading.missing, f"the page has {face_words:,} words, but none are selected")
    if face_words < _PART_SHORT and any(b"<script" in response.body for response in look.responses):
        detail = "the page brings its text by script; set `browser: true` (and install the extra `browser`)"
    else:
        expected = f"{look.words_before:,}" if look.words_before else "some hundred"
        detail = f"only {look.words} words were found where {expected} were expected; look at the URL and `select`"
    return Observation(Verdict.EMPTY, detail)


# --- against the last good text -----------------------------------------------------------------------------------


def _wrong_language(look: _Look) -> Observation | None:
    expected = look.terms.language or (None if look.alike else _language_before(look))
    if expected is None:
        return None
    now = guess_language(look.reading.text)
    if now is None or alike(now, expected):
        return None
    return Observation(
        Verdict.WRONG_LANGUAGE,
        f"the text is in “{now}”, not in “{expected}”; declare a URL that fixes the language, or set `language`",
    )


def _language_before(look: _Look) -> str | None:
    """The language of the last good text, if it is certain that ours has another.

    What a page declares is often wrong, but then it is wrong the same way each time: without the text itself, both what
    the pages declared and what the new one is written in must have changed.
    """
    if look.last is None:
        return None
    if look.last.text:
        return guess_language(look.last.text)
    declared = look.reading.language
    if look.last.language is None or declared is None or alike(declared, look.last.language):
        return None
    now = guess_language(look.reading.text)
    return look.last.language if now is not None and alike(now, declared) else None


def _moved(look: _Look) -> Observation | None:
    usual = look.last.final_urls if look.last is not None else ()
    for index, response in enumerate(look.responses):
        before = usual[index] if index < len(usual) else None
        if before is None:
            if signs.is_home(response.final_url) and not signs.is_home(response.url):
                return _elsewhere(response, response.url)
        elif _is_elsewhere(response, before) and not _same_text(look, response):
            return _elsewhere(response, before)
    return None


def _is_elsewhere(response: Response, before: str) -> bool:
    """Neither where it was, nor where it was asked for: an address that was declared anew has led nowhere else."""
    return signs.place(response.final_url) not in (signs.place(before), signs.place(response.url))


def _elsewhere(response: Response, before: str) -> Observation:
    what = "the front page" if signs.is_home(response.final_url) else "another place"
    return Observation(
        Verdict.MOVED,
        f"{before} now leads to {what}, {response.final_url}, with another text; if these are the terms, declare that URL",
    )


def _same_text(look: _Look, response: Response) -> bool:
    if look.last is not None and look.last.text:
        return look.alike
    return not signs.is_home(response.final_url) and 0.7 < look.share < 1.4


def _selector_lost(look: _Look) -> Observation | None:
    """One of several selectors matches no more; unless all that stood stands, having moved into the others' elements."""
    if look.last is None or look.reading.form != "declared":
        return None
    lost = tuple(selector for selector in look.reading.missing if selector not in look.last.missing)
    if not lost or look.share >= 1:
        return None
    return _lost(lost, f"the text has {look.words:,} of {look.words_before:,} words")


def _lost(selectors: Sequence[str], what: str) -> Observation:
    named = ", ".join(f"`{selector}`" for selector in selectors[:5])
    return Observation(
        Verdict.SELECTOR_LOST, f"{named} matches nothing any more; {what}; look at the page and mend `select`"
    )


def _collapsed(look: _Look) -> Observation | None:
    lost = look.words_before - look.words
    if look.share >= COLLAPSE or (lost < _LITTLE and look.share >= _RUIN):
        return None
    return Observation(
        Verdict.COLLAPSED,
        f"{look.words:,} words where {look.words_before:,} stood; if it is what is left of them and stays for two "
        "weeks it counts as a change, else mend `select`",
    )
