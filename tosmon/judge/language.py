"""Guess the language of a text, well enough to say when rules cannot read it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice

from tosmon.judge.reading import fold

NAMES = {
    "ar": "Arabic",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "hu": "Hungarian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sv": "Swedish",
    "th": "Thai",
    "tr": "Turkish",
    "zh": "Chinese",
}
_COMMON = {
    "en": "the and of to you that is for not with or this may are by will your any we our as be it must such shall us",
    "de": "der die und das nicht sie ist wir mit von für auf den des ein eine zu werden oder ihre",
    "fr": "le la les des et vous est nous que pour pas avec une dans sur votre vos ou du par",
    "es": "el la los las que de y en no para con una por su sus es o del usted se",
    "it": "il la di che e non per con una del della sono o gli nel si da le dei in",
    "pt": "o a os as de que e não para com uma por seu sua do da em ou se você",
    "nl": "de het een en van niet is voor met op u wij dat zijn te of uw onze door worden",
    "pl": "i w nie na z do się jest że oraz lub przez od dla to o które może po za",
    "sv": "och att det som en är för inte på med av vi du den till eller har om dina kan",
    "da": "og at det som en er for ikke på med af vi du den til eller har om dine kan",
    "fi": "ja on ei että tai voi se ovat jos sekä joka kun mukaan myös käyttää sinun me voit tämän ole",
    "cs": "a v se na je že nebo pro s z do jsou za být které jako nás vás při jste",
    "tr": "ve bir bu için ile veya olarak da de bize sizin tarafından bizim olan gibi daha her ya ne kadar",
    "ro": "și de la în a nu cu pentru care sau este pe din un o să vă prin mai ale",
    "hu": "a az és nem hogy is egy vagy meg ha el csak mint ön azt ez által után felhasználó adatok",
}
_SCRIPTS = (
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("ko", re.compile("[\uac00-\ud7a3]")),
    ("zh", re.compile("[\u4e00-\u9fff]")),
    ("ru", re.compile("[\u0400-\u04ff]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
    ("he", re.compile("[\u0590-\u05ff]")),
    ("el", re.compile("[\u0370-\u03ff]")),
    ("th", re.compile("[\u0e00-\u0e7f]")),
    ("hi", re.compile("[\u0900-\u097f]")),
)
_SETS = {language: frozenset(words.split()) for language, words in _COMMON.items()}
_WORD = re.compile(r"[^\W\d_]+")
_ENOUGH = 4000


_FOLDED_SETS = {language: frozenset(fold(words).split()) for language, words in _COMMON.items()}


def may_be(folded: str, languages: frozenset[str]) -> frozenset[str]:
    """Which of some languages a folded text may be written in, by its commonest words: several where it is too short."""
    words = set(folded.split())
    counts = {language: len(words & _FOLDED_SETS[language]) for language in languages if language in _FOLDED_SETS}
    most = max(counts.values(), default=0)
    if most < 2:
        return languages
    likely = frozenset(language for language, count in counts.items() if count == most)
    return likely | (languages - _FOLDED_SETS.keys())


def language_of(texts: Iterable[str]) -> str | None:
    """The ISO 639-1 code of a text's language by its commonest words or its script; `None` when it is too short to say."""
    sample, length = [], 0
    for text in texts:
        sample.append(text)
        length += len(text)
        if length > _ENOUGH:
            break
    text = " ".join(sample)[: 2 * _ENOUGH]
    for language, script in _SCRIPTS:
        if sum(1 for _ in islice(script.finditer(text), len(text) // 4 + 1)) > len(text) // 4 > 5:
            return language
    words = _WORD.findall(text.lower())
    if len(words) < 20:
        return None
    counts = {language: sum(map(common.__contains__, words)) for language, common in _SETS.items()}
    best = max(counts, key=counts.__getitem__)
    return best if counts[best] >= len(words) * 0.12 else None
