"""Guess the language of a text from its script and its commonest words.

Enough to notice that a German page came where an English one stood, or that no rule can read a clause, which is all
that is asked here; a model of a hundred languages would cost more than all the rest of the install. Says `None`
rather than something doubtful.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache

NAMES = {
    "ar": "Arabic",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "et": "Estonian",
    "fi": "Finnish",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "hr": "Croatian",
    "hu": "Hungarian",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nb": "Norwegian",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sk": "Slovak",
    "sv": "Swedish",
    "th": "Thai",
    "tr": "Turkish",
    "vi": "Vietnamese",
    "zh": "Chinese",
}
"""What people call the languages that are told apart here, by ISO 639-1 code."""

_READ = 8_000
_FEWEST_WORDS = 25
_WORD = re.compile(r"[^\W\d_]+")
_MARKUP = re.compile(r"\]\([^)\s]*\)|https?://\S+|\S+@\S+")

# The commonest words of each language that are rare in the others; shared ones (de, la, in, a) weigh nothing.
_COMMON = {
    "en": "the of and to you your that for with this by are or we our may not any be will as which have from such these",
    "de": "der die das und ist nicht wir sie ihre ihrer ihren von mit für auf oder werden den dem des eine einer zu bei",
    "fr": "les des vous nous votre vos notre est et ou pour dans par sur ne pas que une aux ces cette sont être du au avec",
    "es": "los las del el que una por para con usted sus se no es su al como nuestro nuestra este esta o y nuestros sobre",
    "it": "il di che per gli della dei delle non è un una con sono nostri alla nel dati utente i le può tuoi ai dell sul",
    "pt": "os das dos não você uma para com que seu sua por nos ou ao é nossa nosso são em pelo pela e da do serviços",
    "nl": "de het een van en je u wij ons onze zijn niet voor met op dat die deze door of te bij worden kunnen uw wordt",
    "sv": "och att som för är av på med inte du vi kan den om till eller dina våra din från har ett ska vår dig",
    "da": "og at som for er af på med ikke du vi kan den om til eller dine vores din fra har et skal dig når det",
    "nb": "og at som for er av på med ikke du vi kan den om til eller dine våre din fra har et skal deg når det",
    "fi": "ja on ei että tai voi sekä kun tämä sinun meidän jos joka ovat olla mukaisesti käyttää tietoja palvelun",
    "pl": "i w z na do nie się jest lub oraz przez od dla że które użytkownika są o przypadku może naszych jak danych ich",
    "cs": "a v na je se k že pro nebo jsou s z o do které podle při jako může být není vaše služby údajů naše",
    "sk": "a v na je sa k že pre alebo sú s z o do ktoré podľa pri ako môže byť nie vaše služby údajov naše",
    "ro": "și de în la să cu pe din sau nu care pentru prin este sunt dvs al ale unui unei noastre dumneavoastră fi poate",
    "hu": "a az és hogy nem egy vagy is ha meg van ezt azt által kell lehet az ön önnek szerint valamint adatok esetén",
    "tr": "ve bir bu için ile veya olarak size siz bizim olan tarafından gibi daha kişisel kullanım hizmet hizmetleri değil",
    "id": "dan yang untuk dengan anda kami atau dari di ini dalam pada tidak akan oleh kepada adalah dapat layanan ke",
    "vi": "và của bạn các chúng tôi cho không được này trong với có là hoặc để những khi từ về theo dịch vụ thông",
    "hr": "i u na je se da za su ili od koje koji ne kao te vam vas naše usluge podataka možete može biti s",
    "et": "ja on ei et või kui mis selle teie meie kes oma ning saab võib kasutada teenuste andmete isikuandmete poolt",
}
_LANGUAGES_OF = {
    word: [code for code, text in _COMMON.items() if word in text.split()]
    for word in {word for text in _COMMON.values() for word in text.split()}
}
_SCRIPTS = (
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("ko", re.compile("[\uac00-\ud7af]")),
    ("zh", re.compile("[\u4e00-\u9fff]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
    ("he", re.compile("[\u0590-\u05ff]")),
    ("el", re.compile("[\u0370-\u03ff]")),
    ("hi", re.compile("[\u0900-\u097f]")),
    ("th", re.compile("[\u0e00-\u0e7f]")),
    ("ru", re.compile("[\u0400-\u04ff]")),
)
_OTHER_SCRIPT = re.compile(f"[{''.join(script.pattern.strip('[]') for _, script in _SCRIPTS)}]")
# Languages of one script (ru, uk, bg; ar, fa; zh, ja) are not told apart, nor those that share their common words.
_ALIKE = tuple(
    set(group.split())
    for group in (
        "da nb nn no", "cs sk", "hr sr bs sl", "id ms", "ru uk bg sr mk be", "ar fa ur", "zh ja", "es gl ca", "he iw yi",
    )
)  # fmt: skip


def guess_language(text: str) -> str | None:
    """The ISO 639-1 code of the language most of the text is in, or `None` when that is not clear."""
    text = _MARKUP.sub(" ", text[:_READ])
    words = _WORD.findall(text)
    letters = sum(map(len, words))
    if letters == 0:
        return None
    for code, script in _SCRIPTS if _OTHER_SCRIPT.search(text) else ():
        share = len(script.findall(text)) / letters
        # Japanese mixes kana into kanji; a name in another script makes no language.
        if share > (0.15 if code == "ja" else 0.4) and letters >= 40:
            return code
    return _by_words(words)


def likely_languages(
    words: frozenset[str], languages: frozenset[str], fold: Callable[[str], str] = str
) -> frozenset[str]:
    """Which of some languages a clause may be written in, by its commonest words; several where it is too short to say.

    `words` are those of the clause, each once; `fold` is what was done to them (no accents, lower case).
    """
    known = {code for code in languages if code in _COMMON}
    counts = {code: len(words & _folded(code, fold)) for code in known}
    most = max(counts.values(), default=0)
    if most < 2:
        return languages
    return frozenset(code for code, count in counts.items() if count == most) | (languages - known)


@cache
def _folded(code: str, fold: Callable[[str], str]) -> frozenset[str]:
    return frozenset(fold(_COMMON[code]).split())


def alike(one: str, other: str) -> bool:
    """Whether two codes mean the same language, as far as `guess_language` can tell (`en-GB` is `en`)."""
    first, second = (re.split("[-_]", code.lower())[0] for code in (one, other))
    return first == second or any(first in group and second in group for group in _ALIKE)


def _by_words(words: Sequence[str]) -> str | None:
    found = [word.lower() for word in words]
    if len(found) < _FEWEST_WORDS:
        return None
    scores: Counter[str] = Counter()
    for word in found:
        codes = _LANGUAGES_OF.get(word, ())
        for code in codes:
            scores[code] += 1
    ranked = [(code, count) for code, count in scores.most_common(6)]
    if not ranked:
        return None
    best, hits = ranked[0]
    rival = next((count for code, count in ranked[1:] if not alike(code, best)), 0)
    return best if hits > 0.12 * len(found) and hits > 1.6 * rival else None
