"""The canonical form of a clause: what decides that two texts say the same.

People are told of words, numbers, names, contacts and dates, never of how they are set. So the form keeps letters,
digits, what parts one number from the next, currency and percent signs, the signs inside addresses, ticks and
crosses; it drops Markdown, link targets, white space, letter case and all other punctuation, and writes each
unambiguous date in one way. It knows one text only: what needs both sides of a comparison (an address that one side
hides altogether, entries in another order) is `compare.substance`'s to judge.
"""

from __future__ import annotations

import html
import re
import unicodedata
from functools import cache, lru_cache
from urllib.parse import unquote

from tosmon.dates import find_dates

__all__ = ["canonical", "words"]

# Signs that must outlive the dropping of punctuation travel as control characters; raw ones are removed first.
_KEPT_SIGNS = "./,:'-_@?=&+#~<> "
_CARRIERS = "".join(map(chr, (*range(1, 9), *range(0x0E, 0x17))))
_CARRY = str.maketrans(_KEPT_SIGNS, _CARRIERS)
_SET_DOWN = str.maketrans(_CARRIERS, _KEPT_SIGNS)
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f]")

_ASCII_DROPPED = bytes(code for code in range(128) if not chr(code).isalnum() and chr(code) not in "$%" + _CARRIERS)
_ASCII_FOLDED = bytes(map(ord, "".join(map(chr, range(256))).translate(_SET_DOWN).lower()[:128])) + bytes(
    range(128, 256)
)
_ASCII_WORD = re.compile(f"[a-z0-9$%{_CARRIERS}]+")
# After these, most English text is ASCII, for which all that follows is several times as fast.
_TYPOGRAPHY = (
    ("\u2019", "'"),
    ("\u2018", "'"),
    ("\u201c", '"'),
    ("\u201d", '"'),
    ("\u2013", "-"),
    ("\u2014", "-"),
    ("\u00a0", " "),
    ("\u2022", " "),
    ("\u200b", ""),
    ("\u00ae", ""),
    ("\u2122", ""),
    ("\u00a9", "(c)"),  # both ways: word processors turn the third letter of a list, (c), into the sign
)
_SIGNS = str.maketrans(dict.fromkeys("✓✔☑✅", "✓") | dict.fromkeys("✗✘✖❌☒✕❎", "✗") | {"⁄": "/", "℠": None})
_DASH = re.compile("[\u2010-\u2015\u2212]")
_RAISED_DIGIT = re.compile(r"(?<=\d)(?=[²³¹¼-¾⁰-⁹₀-₉⅐-⅞①-⑳])")

# What calls for a close look; most clauses of terms have none of it.
_INTRICATE = re.compile(r"[0-9\[<&\\@+\x00-\x08\x0e-\x1f]")


@lru_cache(maxsize=8_192)  # the same clauses are asked for by every comparison of a document, and by every check
def canonical(text: str) -> str:
    """The form under which two clauses are the same clause: equal forms mean that nobody is told of the difference.

    To be compared and hashed, not read; its own canonical form may differ. Empty when the text holds no word.
    """
    text = _plain(text)
    if text.isascii():
        return text.encode().translate(_ASCII_FOLDED, _ASCII_DROPPED).decode()
    return _set_down("".join(_patterns()[0].findall(text.casefold())))


def words(text: str) -> list[str]:
    """The words of the canonical form, to measure how alike two clauses are; scripts without spaces give letters."""
    text = _plain(text).replace("'", "").casefold()
    found = _ASCII_WORD.findall(text) if text.isascii() else _patterns()[1].findall(text)
    return [_set_down(word) for word in found] if _CONTROL.search(text) else found


def _set_down(text: str) -> str:
    return text.translate(_SET_DOWN) if _CONTROL.search(text) else text


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Runs of what is kept, and words, in text beyond ASCII: all but punctuation, space and other signs.

    Not `\\w`, which leaves out the vowel signs of Indic scripts and Thai.
    """
    dropped = "".join(map(re.escape, filter(_is_dropped, map(chr, range(0x10000))))) + "\U0001f000-\U0001faff"
    singly = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\u0e00-\u0eff"
    return re.compile(f"[^{dropped}]+"), re.compile(f"[{singly}]|[^{dropped}{singly}]+")


@cache
def _other_digit() -> re.Pattern[str]:
    return re.compile("[" + "".join(sign for sign in map(chr, range(128, 0x10000)) if sign.isdecimal()) + "]")


def _is_dropped(sign: str) -> bool:
    category = unicodedata.category(sign)
    if sign in "$%‰✓✗≤≥" or sign in _CARRIERS or category == "Sc":
        return False
    return category[0] in "PZSC" or "\ufe00" <= sign <= "\ufe0f"


# --- from Markdown to plain text, with the kept signs as carriers ---------------------------------------------------

# As `clauses.split` sees it, for texts that were not split. A decimal number needs a capital after it: "1.5 times".
_MARKER = re.compile(
    r"[\s>]*(?:#{1,6}\s+|[-*+•‣◦]\s+)?[*_]*(?:\(?(?:\d{1,3}(?:\.\d{1,3}){0,4}|x{0,3}(?:ix|iv|vi{0,3}|i{1,3})|x{1,3}"
    r"|X{0,3}(?:IX|IV|VI{0,3}|I{1,3})|X{1,3}|[A-Za-z])\\?[.)]{1,2}\s+(?=\S)|\d{1,3}(?:\.\d{1,3}){1,4}\s+(?=[A-Z]))?"
)


def _plain(text: str) -> str:
    if not text.isascii():
        text = _in_one_typography(text)
    if _INTRICATE.search(text) or "://" in text or "www." in text or "(at)" in text or "pdated " in text:
        return _looked_at_closely(text)
    return _unmarked(text)


def _unmarked(text: str) -> str:
    marker = _MARKER.match(text)
    return text[marker.end() :] if marker else text


def _in_one_typography(text: str) -> str:
    for sign, plain in _TYPOGRAPHY:
        text = text.replace(sign, plain)
    if text.isascii():
        return text
    text = _RAISED_DIGIT.sub(" ", text)
    if not unicodedata.is_normalized("NFKC", text):
        text = unicodedata.normalize("NFKC", text)
    text = _DASH.sub("-", text.translate(_SIGNS))
    return _other_digit().sub(lambda digit: str(int(digit[0])), text)


def _looked_at_closely(text: str) -> str:
    if not text.isprintable():
        text = _CONTROL.sub("", text)
    if "&" in text and (entities := html.unescape(text)) != text:
        text = _in_one_typography(_CONTROL.sub("", entities))
    if "](" in text:
        text = _unlinked(text)
    if "<" in text:
        text = _TAG.sub(" ", text)
    if "\\" in text:
        text = _ESCAPE.sub(r"\1", text)
    text = _with_addresses(text)
    if len(text) <= _LONGEST_CLOCK:
        text = _CLOCK.sub(r"\1ago", text)
    if _YEAR.search(text):
        text = _with_dates(text)
    text = _AMOUNT.sub(_plain_amount, text)
    text = _BETWEEN_DIGITS.sub(_between_digits, _unmarked(text))
    if "<" in text or ">" in text:
        text = _COMPARED.sub(_carried, text)
    return _PLUS.sub(_carried, text) if "+" in text else text


_LINK = re.compile(
    r"!?\[(?P<text>[^\[\]\\]*(?:(?:\\."
    r"|\[[^\[\]\\]*\])[^\[\]\\]*)*)\]\((?P<target>[^()\n]*(?:\([^()\n]*\)[^()\n]*)*)\)",
    re.DOTALL,
)
_HIDDEN = re.compile(r"/cdn-cgi/l/email-protection#([0-9a-fA-F]{6,})")
_HIDDEN_TEXT = re.compile(r"e-?mail\W{0,3}protected", re.IGNORECASE)
_TAG = re.compile(
    r"</?(?:a|abbr|b|br|center|code|div|em|font|h[1-6]|hr|i|li|ol|p|s|small|span|strong|sub|sup|table|tbody|td|th"
    r"|thead"
    r"|tr|u|ul|wbr)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_SPELLED_OUT = re.compile(r"[\[({]\s?(?:at|dot)\s?[\])}]", re.IGNORECASE)
_AT = re.compile(r"\s?[\[({]\s?at\s?[\])}]\s?", re.IGNORECASE)
_DOT = re.compile(r"\s?[\[({]\s?dot\s?[\])}]\s?", re.IGNORECASE)
_EMAIL = re.compile(r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_URL = re.compile(r"(?:https?://(?:www\.)?|www\.)(?=\w)(?P<rest>[^\s<>\"'|]+)", re.IGNORECASE)
_TRACKING = re.compile(
    r"(?:utm_\w*|(?:g|d|fb|yt|tt|tw|li_)clid|gbraid|wbraid|msclkid|igshid?|mc_[ce]id|_gl|_ga|_hs\w+|ref|ref_?src|ref_?url|trk\w*"
    r"|campaign\w*|cid|spm|si|hl|locale|source)(?:=|$)",
    re.IGNORECASE,
)


def _unlinked(text: str) -> str:
    """Links as their texts; twice more for images inside links and links inside those."""
    for _ in range(3):
        text, count = _LINK.subn(_link_text, text)
        if not count or "](" not in text:
            break
    return text


def _link_text(link: re.Match[str]) -> str:
    text, target = link["text"], link["target"]
    if _HIDDEN_TEXT.search(text):
        if hidden := _HIDDEN.search(target):
            return _decoded(hidden[1]) or text
        if target.startswith("mailto:"):
            return unquote(target[7:].split("?")[0])
    return text


def _decoded(digits: str) -> str | None:
    """An address as content delivery networks hide it: each byte combined with the first by exclusive or."""
    if len(digits) % 2:
        return None
    key, *rest = bytes.fromhex(digits)
    address = bytes(byte ^ key for byte in rest).decode("utf-8", "replace")
    return address if _EMAIL.match(address) else None


def _with_addresses(text: str) -> str:
    if _SPELLED_OUT.search(text):
        text = _DOT.sub(".", _AT.sub("@", text))
    if "@" in text:
        text = _EMAIL.sub(_carried, text)
    if "://" in text or "www." in text:
        text = _URL.sub(_location, text)
    return text


def _location(url: re.Match[str]) -> str:
    """Host and path, and what of the query is no tracking; dots go, so that a bare host name is the same address."""
    rest = url["rest"]
    address = rest.rstrip(".,;:!?)]}*_\"'")
    place, mark, query = address.partition("?")
    kept = [part for part in query.split("&") if not _TRACKING.match(part)] if mark else []
    place = place.rstrip("/") + ("?" + "&".join(kept) if kept else "")
    return place.replace(".", "").translate(_CARRY) + rest[len(address) :]


# A relative clock stands alone, at the start or after a separator: "accounts updated 30 days ago" is no clock.
_LONGEST_CLOCK = 120
_CLOCK = re.compile(
    r"(?:^|(?<=[|·•\n(,-]))(\W*(?:(?:last|recently|article|this|page|was|is|zuletzt|dernière|última|ultimo|laatst"
    r"|senast"
    r"|mise?s?|mis|à|il|sist)\W+){0,4}(?:(?:updated|modified|edited|revised|published|posted|reviewed|changed"
    r"|aktualisiert"
    r"|geändert|bearbeitet|jour|modifiée?|publiée?|actualizad[oa]|modificad[oa]|atualizad[oa]|aggiornat[oa]"
    r"|bijgewerkt"
    r"|uppdaterad|opdateret|oppdatert|zaktualizowano|обновлено|更新|업데이트)\W{1,3})?)"
    r"(?:(?:over|about|almost|more\sthan|il\sy\sa|vor|hace|há|för|for|environ|etwa|ungefähr|circa|cerca\sde"
    r"|más\sde)\s)*"
    r"(?:(?:\d+|an?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|few|une?|einem|einer|un[oa]?|um[a]?"
    r"|een)\s?"
    r"(?:seconds?|minutes?|hours?|days?|weeks?|months?|years?|jours?|semaines?|mois|ans?|heures?|tag(?:en)?|wochen?"
    r"|monat(?:en)?|jahr(?:en)?|stunden?|d[ií]as?|semanas?|mes(?:es)?|años?|horas?|anos?|giorn[oi]|settiman[ae]"
    r"|mes[ei]"
    r"|ann[oi]|or[ae]|dagen?|we[e]?ken?|maanden?|jaar|uur|dagar?|veckor|månader|дн\w+|日|天|週間|か月|개월|일)"
    r"(?:\s?(?:ago|geleden|fa|sedan|siden|temu|назад|前|전))?|today|yesterday|this\sweek|last\sweek)(?=\W*(?:$|["
    r"|·•\n]))",
    re.IGNORECASE,
)

_YEAR = re.compile(r"[12令平](?:\d\d\d|和|成)")
_HYPHEN = "-".translate(_CARRY)
# An amount with its thousands and its hundredths parted: whichever signs do it, it is one number. Without hundredths, or
# with one sign for both, "1.500" may be one and a half: then the sign counts.
_AMOUNT = re.compile(
    r"(?<![\w.,])(\d{1,3})(?:(?:,\d{3})+(?=\.\d\d(?!\d))|(?:\.\d{3})+(?=,\d\d(?!\d))|(?: \d{3})+(?=[.,]\d\d(?!\d)))[.,]\d\d"
)


def _plain_amount(amount: re.Match[str]) -> str:
    digits = re.sub(r"\D", "", amount[0])
    return f"{digits[:-2]}.{digits[-2:]}"


_BETWEEN_DIGITS = re.compile(r"[0-9]([^\w\x01-\x08\x0e-\x1f]+)(?=[0-9])")
_SEPARATORS = ".,:/'-"
_COMPARED = re.compile(r"[<>](?=\s?[0-9])")
_PLUS = re.compile(r"(?<=\w)\+|\+(?=\w)")


def _carried(found: re.Match[str]) -> str:
    return found[0].translate(_CARRY)


def _with_dates(text: str) -> str:
    parts, at = [], 0
    for found in find_dates(text):
        if found.month is None:
            continue
        written = f"{found.month[0]:04}{_HYPHEN}{found.month[1]:02}"
        if found.day:
            written += f"{_HYPHEN}{found.day.day:02}"
        parts += [text[at : found.start], written]
        at = found.end
    return "".join((*parts, text[at:]))


def _between_digits(run: re.Match[str]) -> str:
    """What parts two numbers: currency and percent signs, a dash, one separator as it stands, else a blank."""
    digit, signs = run[0][0], run[1]
    if len(signs) == 1 and signs in _SEPARATORS:
        return digit + signs.translate(_CARRY)
    if kept := "".join(sign for sign in signs if not sign.isspace() and not _is_dropped(sign)):
        return digit + kept
    return digit + ("-" if "-" in signs else " ").translate(_CARRY)
