"""Dates as platforms write them: find them in a text, and say from when added text says that it applies.

Two dates are the same only when both can mean nothing else, so what can be read in two ways (03/04/2025) is found
but has no day. Knows the month names of some forty languages; needs a year, because terms without one mean
"whenever you read this". No clock: "tomorrow" is nobody's date here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

__all__ = ["FoundDate", "effective_date", "find_dates"]


@dataclass(frozen=True, slots=True)
class FoundDate:
    """A date that stands at `text[start:end]`. `day` is `None` when it is ambiguous or names only a month.

    `month` is (year, month) wherever that much is certain.
    """

    start: int
    end: int
    day: date | None
    month: tuple[int, int] | None = None


# One line for each month: names and abbreviations, nominative and the cases that dates stand in. Croatian "listopad"
# (October) is left out: in Polish, Czech and Ukrainian the same word is November.
_MONTHS = """
january jan januar jänner januari janvier janv enero ene gener gennaio gen janeiro ianuarie janúar jaanuar stycznia
 styczeń ledna leden januára január janvāris janvāra janvārī sausio ocak января январь янв січня студзеня януари
 ιανουαρίου ιανουάριος ιαν يناير ינואר בינואר जनवरी มกราคม siječnja januarja јануар
february feb februar febr feber februari février fevrier fév févr febrero febrer febbraio fevereiro fev februarie
 febrúar veebruar lutego luty února únor februára február februāris februāra februārī vasario şubat февраля февраль фев
 лютого лютага февруари φεβρουαρίου φεβρουάριος φεβ فبراير פברואר בפברואר फ़रवरी फरवरी กุมภาพันธ์ veljače februarja
 pebrero фебруар
march mar märz mär mrz maerz mars marzo març março marco martie maart mrt marts märts marca marzec března březen
 március márc kovo mart марта март мар березня сакавіка μαρτίου μάρτιος μαρ مارس מרץ מרס במרץ मार्च มีนาคม ožujka marec
 maret mac marso
april apr avril avr abril abr aprile aprilie apríl aprill kwietnia kwiecień dubna duben apríla április ápr aprīlis
 aprīļa aprīlī balandžio nisan апреля апрель апр квітня красавіка април απριλίου απρίλιος απρ أبريل ابريل إبريل אפריל
 באפריל अप्रैल เมษายน travnja aprila
may mai mayo maig maggio mag maio mei maj maí maja května květen mája máj május maijs maija maijā gegužės mayıs мая май
 травня μαΐου μαίου μάιος μαϊ مايو מאי במאי मई พฤษภาคม svibnja мај
june jun juni juin junio juny giugno giu junho iunie júní juuni czerwca czerwiec června červen júna jún június jūnijs
 jūnija jūnijā birželio haziran июня июнь июн червня чэрвеня юни ιουνίου ιούνιος ιουν يونيو יוני ביוני जून มิถุนายน
 lipnja junija hunyo јун
july jul juli juillet juil julio juliol luglio lug julho iulie júlí juuli lipca lipiec července červenec júla júl július
 jūlijs jūlija jūlijā liepos temmuz июля июль июл липня ліпеня юли ιουλίου ιούλιος ιουλ يوليو יולי ביולי जुलाई กรกฎาคม
 srpnja julija julai hulyo јул
august aug août aout agosto ago agost augustus augusti ágúst sierpnia sierpień srpna srpen augusta augusztus augusts
 augustā rugpjūčio ağustos августа август авг серпня жніўня αυγούστου αύγουστος αυγ أغسطس اغسطس אוגוסט באוגוסט अगस्त
 สิงหาคม kolovoza avgusta agustus ogos avgust
september sept sep septembre septiembre setiembre setembre settembre sett set setembro septembrie września wrzesień
 září septembra szeptember szept septembris septembrī rugsėjo eylül сентября сентябрь сен сент вересня верасня
 септември σεπτεμβρίου σεπτέμβριος σεπ سبتمبر ספטמבר בספטמבר सितंबर सितम्बर กันยายน rujna setyembre септембар
october oct oktober okt octobre octubre ottobre ott outubro out octombrie október oktoober października październik
 října říjen októbra oktobris oktobra oktobrī spalio ekim октября октябрь окт жовтня кастрычніка октомври οκτωβρίου
 οκτώβριος οκτ أكتوبر اكتوبر אוקטובר באוקטובר अक्टूबर अक्तूबर ตุลาคม oktubre октобар
november nov novembre noviembre novembro noiembrie nóvember listopada listopad listopadu novembra novembris novembrī
 lapkričio kasım ноября ноябрь ноя листопада лістапада ноември νοεμβρίου νοέμβριος νοε نوفمبر נובמבר בנובמבר नवंबर
 नवम्बर พฤศจิกายน studenoga studenog nobyembre новембар
december dec dezember dez décembre decembre déc diciembre dic desembre dicembre dezembro decembrie desember detsember
 grudnia grudzień prosince prosinec decembra decembris decembrī gruodžio aralık декабря декабрь дек грудня снежня
 декември δεκεμβρίου δεκέμβριος δεκ ديسمبر דצמבר בדצמבר दिसंबर दिसम्बर ธันวาคม prosinca disember disyembre децембар
"""
_FINNISH = ("tammi", "helmi", "maalis", "huhti", "touko", "kesä", "heinä", "elo", "syys", "loka", "marras", "joulu")


def _month_numbers() -> dict[str, int]:
    lines = re.split(r"\n(?! )", _MONTHS.strip("\n"))
    numbers = {name.casefold(): number for number, line in enumerate(lines, 1) for name in line.split()}
    for number, stem in enumerate(_FINNISH, 1):
        numbers |= {f"{stem}kuu{ending}": number for ending in ("", "n", "ta", "ssa")}
    return numbers


_MONTH = _month_numbers()
_WINDOW = 44  # no date is longer: "2nd day of September of the year 2024"
_YEAR = re.compile(r"(?<!\d)\d{4}(?!\d)")
_NAME = r"(?P<name>[^\W\d_][^\s\d.,:;/|()\[\]<>_*\"'’-]{1,13})"
_GAP = r"[\s.,/-]{0,3}"
# Each reads the text that ends with the year.
_DAY_MONTH = re.compile(
    r"(?<!\d)(?P<day>\d{1,2})(?:st|nd|rd|th|er|re|[ºª°]|\.?-?го|-го)?" + _GAP + r"(?:(?:day\s+)?of\s+(?:the\s+)?"
    r"|dels?\s+|de\s+|d['’]\s?)?" + _NAME + r"\.?" + _GAP + r"(?:of\s+|del?\s+|год[а]?\s+)?\d{4}$",
    re.IGNORECASE,
)
_MONTH_DAY = re.compile(
    r"(?<!\w)" + _NAME + r"\.?[\s-]{0,3}(?:the\s+)?(?P<day>\d{1,2})(?:st|nd|rd|th|er)?" + _GAP + r"(?:of\s+)?\d{4}$",
    re.IGNORECASE,
)
_NUMBERS = re.compile(
    r"(?<![\d/])(?<!\d[.-])(?P<first>\d{1,2})\s?(?P<sign>[./-])\s?(?P<second>\d{1,2})\s?(?P=sign)\s?\d{4}$"
)
_VIETNAMESE = re.compile(r"(?<!\d)(?P<day>\d{1,2})\s+tháng\s+(?P<month>\d{1,2})[\s,]+(?:năm\s+)?\d{4}$", re.IGNORECASE)
_MONTH_ONLY = re.compile(r"(?<!\w)" + _NAME + r"\.?[\s,]{1,2}(?:of\s+|del?\s+)?\d{4}$", re.IGNORECASE)
# These start with it.
_YEAR_FIRST = re.compile(
    r"\d{4}(?:\s?(?P<sign>[./-])\s?(?P<month>\d{1,2})\s?(?P=sign)\s?(?P<day>\d{1,2})(?!\d)(?!\s?(?P=sign)\d)"
    r"|\s*[年년]\s*(?P<cjk_month>\d{1,2})\s*[月월]\s*(?P<cjk_day>\d{1,2})\s*[日號号일]?"
    r"|\.\s?gada\s(?P<gada_day>\d{1,2})\.\s?(?P<gada>[^\W\d_]{3,12})"
    r"|\.?\s(?:m\.\s|г\.\s|\s)?" + _NAME + r"\.?\s(?P<named_day>\d{1,2})(?!\d))",
    re.IGNORECASE,
)
_ERA = re.compile(r"(?P<era>令和|平成)\s*(?P<year>\d{1,2}|元)\s*年\s*(?P<month>\d{1,2})\s*月\s*(?P<day>\d{1,2})\s*日?")
_ERA_START = {"令和": 2018, "平成": 1988}


def find_dates(text: str) -> tuple[FoundDate, ...]:
    """Every date with a year, in order, without overlap. Offsets are those of `text`."""
    found: list[FoundDate] = []
    end = 0
    for year in _YEAR.finditer(text):
        if year.start() >= end and (one := _date_at(text, year.start(), end)):
            found.append(one)
            end = one.end
    if "令和" in text or "平成" in text:
        found = sorted([*found, *_era_dates(text)], key=lambda one: one.start)
    return tuple(found)


def _date_at(text: str, at: int, floor: int) -> FoundDate | None:
    year = int(text[at : at + 4])
    if 2400 <= year <= 2700 and not text.isascii():
        year -= 543  # the Buddhist era, on Thai pages
    if not 1900 <= year <= 2100:
        return None
    low = max(floor, at - _WINDOW)
    head = text[low : at + 4]
    return _ending(head, low, year) or _starting(text, at, year) or _month_only(head, low, year)


def _ending(head: str, low: int, year: int) -> FoundDate | None:
    end = low + len(head)
    for pattern in (_DAY_MONTH, _MONTH_DAY):
        match = pattern.search(head)
        if match and (month := _MONTH.get(match["name"].casefold())) and (day := _day(year, month, int(match["day"]))):
            return FoundDate(low + match.start(), end, day, (year, month))
    if match := _NUMBERS.search(head):
        first, second = int(match["first"]), int(match["second"])
        possible = {day for day in (_day(year, second, first), _day(year, first, second)) if day}
        if match["sign"] == "." and (dotted := _day(year, second, first)):
            possible = {dotted}
        if possible:
            day = possible.pop() if len(possible) == 1 else None
            return FoundDate(low + match.start(), end, day, (day.year, day.month) if day else None)
    if (match := _VIETNAMESE.search(head)) and (day := _day(year, int(match["month"]), int(match["day"]))):
        return FoundDate(low + match.start(), end, day, (year, day.month))
    return None


def _starting(text: str, at: int, year: int) -> FoundDate | None:
    match = _YEAR_FIRST.match(text, at)
    if match is None:
        return None
    name = match["name"] or match["gada"]
    month = _MONTH.get(name.casefold(), 0) if name else int(match["month"] or match["cjk_month"])
    day = _day(year, month, int(match["day"] or match["cjk_day"] or match["named_day"] or match["gada_day"]))
    return FoundDate(at, match.end(), day, (year, month)) if day else None


def _month_only(head: str, low: int, year: int) -> FoundDate | None:
    match = _MONTH_ONLY.search(head)
    month = _MONTH.get(match["name"].casefold()) if match else None
    return FoundDate(low + match.start(), low + len(head), None, (year, month)) if match and month else None


def _era_dates(text: str) -> Iterator[FoundDate]:
    for match in _ERA.finditer(text):
        year = _ERA_START[match["era"]] + (1 if match["year"] == "元" else int(match["year"]))
        if day := _day(year, int(match["month"]), int(match["day"])):
            yield FoundDate(match.start(), match.end(), day, (year, day.month))


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


# --- from when the terms say that they apply ------------------------------------------------------------------------

# What announces a date of effect, in the order "Effective as of <date>". Each language's usual wordings.
_EFFECT = re.compile(
    r"\beffective(?!ly|ness)\b(?:\s+(?:date|as\s+of|from|on|beginning|starting|since))*"
    r"|\b(?:go|goes|going|gone|come|comes|coming|enter|enters|entering|put)\s+in(?:to)?\s+(?:effect|force)\b"
    r"|\b(?:take|takes|taking|have|has)\s+(?:full\s+)?effect\b|\bin\s+(?:effect|force)\s+(?:as\s+of|from|since|on)\b"
    r"|\bgo(?:es)?\s+live\b|\b(?:appl(?:y|ies)|binding|valid)\b(?=[^.;]{0,60}?\b(?:from|as\s+of|starting|beginning"
    r"|effect))"
    r"|\bdate\s+of\s+(?:effect|entry\s+into\s+force)\b|\bupdating\b|\bwill\s+(?:be\s+)?(?:updat|chang|replac|amend"
    r"|revis|apply)\w*"
    r"|\b(?:gültig|gilt|gelten|wirksam|geltend|kraft)\b|\bmit\s+wirkung\b|\binkrafttreten\w*|\btritt\b|\btreten\b"
    r"|\ben\s+vigueur\b|\bpren(?:d|dra|dront|nent|dre)\s+effet\b|\bdate\s+d['’]effet\b|\bapplicables?\b"
    r"|\beffecti[fv]e?s?\b"
    r"|\ben\s+vigor\b|\bvigen(?:tes?|cia)\b|\bsurt(?:e|en|irá|irán)\s+efecto\b|\befectiv[oa]s?\b"
    r"|\bfecha\s+de\s+efecto\b"
    r"|\bin\s+vigore\b|\befficacia\b|\bdecorrenza\b|\bcon\s+effetto\b|\bvalid[oaie]\s+dal?\b|\bem\s+vigor\b"
    r"|\bvigência\b"
    r"|\bválid[oa]s?\b|\bingangsdatum\b|\bin\s+werking\b|\bvan\s+kracht\b|\bgeldig\b|\bmet\s+ingang\b|\bkraft\s+den\b"
    r"|\bi\s+kraft\b|\bgäller\b|\bgælder\b|\bgjelder\b|\bikraft\w+|\bvoima\w+|\bw\s+życie\b|\bobowiązuj\w+|\bważn\w+"
    r"|\búčinn\w+|\bplatn\w+|\bhatály\w*|\bérvényes\w*|\bîn\s+vigoare\b|\bvalabil\w*|\byürürl\w+|\bgeçerli\w*"
    r"|\bв\s+силу\b|\bдейству\w+|\bчинност\w+|\bчинн\w+|\bισχύ\w*|\bέναρξη\w*|\bberlaku\b|\befektif\b|hiệu\s+lực|มีผล"
    r"|生效|施行|實施|实施|発効|適用|适用|시행|발효|적용|سار[يى]\w*|[يت]سري|نافذ\w*|السريان|حيز\s+التنفيذ|בתוקף|תוקף|प्रभावी|लागू",
    re.IGNORECASE,
)
# What gives the date another meaning.
_OTHER_MEANING = re.compile(
    r"\b(?:(?:last|was|were|been|most\s+recently)\s+)?(?:updated|modified|revised|amended|posted|published"
    r"|reviewed|dated"
    r"|changed|archived?|adopted)\b|\b(?:was|were)\s+(?:also\s+)?effective\b|\buntil\b|\bthrough\b|\bprior\s+to\b"
    r"|\bbefore\b|\bexpire[sd]?\b|\bprevious\s+(?:version|amendment|policy|terms)\b|\blast\s+(?:update|revision"
    r"|change)\b"
    r"|\b(?:bis|jusqu['’]au|hasta|fino\s+al|até)\b|\b(?:aktualisiert|geändert|veröffentlicht|stand|actualizad[oa]"
    r"|modificad[oa]"
    r"|mise?\s+à\s+jour|modifiée?s?|aggiornat[oa]|atualizad[oa]|bijgewerkt|aktualizacja|обновлен\w*)\b|更新|改定|改訂|制定"
    r"|修订|개정",
    re.IGNORECASE,
)
# "tritt am <date> in Kraft", "<date>より施行", "last modified <date> and is effective immediately"
_EFFECT_AFTER = re.compile(
    r"^[^.;|\n]{0,60}\breplaces?\b[^.;|\n]{0,160}\bimmediate\s+effect|^[^.;|\n]{0,24}?\b(?:effective\s+immediately"
    r"|(?:will\s+)?(?:go|come|take|enter)s?\s+(?:in(?:to)?\s+)?(?:effect|force)"
    r"|becomes?\s+effective|in\s+kraft|wirksam|in\s+vigore|en\s+vigueur|en\s+vigor|em\s+vigor|in\s+werking"
    r"|i\s+kraft|w\s+życie"
    r"|yürürlü\w+|geçerli\w*|hatályos|hatályba\w*|вступа\w+|berlaku)\b"
    r"|^[^.;|\n。]{0,16}?(?:施行|生效|発効|適用|实施|實施|起執行|起执行|시행|적용|발효)"
    r"|^,?\s[^.;|\n]{0,40}\b(?:terms|policy|agreement|notice|statement|guidelines|conditions)\b[^.;"
    r"|\n]{0,40}\b(?:appl(?:y|ies)|replaces?"
    r"|changes?|will)\b",
    re.IGNORECASE,
)
_BREAK = re.compile(r"[.!?](?=\s+[^\W\d_a-z])|[|\n。;；·•]")
_TERMS_WORD = re.compile(
    r"terms|polic|agreement|notice|statement|conditions|guidelines|rules|update|changes|version|addendum|amendment"
    r"|bedingungen"
    r"|richtlinie|erklärung|conditions|politique|términos|condiciones|política|condizioni|termini|termos"
    r"|voorwaarden|beleid",
    re.IGNORECASE,
)
# What a law says of itself is not what these terms say; "act" in small letters is a verb.
_LAW = re.compile(
    r"\b(?:Acts?|ACT|[Ll]aws?|[Rr]egulations?|[Dd]irectives?|Code|[Ss]tatutes?|[Oo]rdinance|[Dd]ecree|[A-Z]{2,4}PA"
    r"|CPRA|GDPR|LGPD"
    r"|DSGVO|RGPD|[Gg]esetz\w*|[Vv]erordnung|[Ll]oi|[Rr]èglement|[Ll]ey|[Rr]eglamento|[Ll]egge|[Rr]egolamento"
    r"|[Ll]ei)\b"
)
_EARLIER = re.compile(
    r"\b(?:old|previous|prior|earlier|former|superseded|archived?)\s+(?:version|terms|policy)\b[^.,;]{0,40}$"
    r"|^\W*(?:\w+\s\w+:\s*)?(?:old|previous|prior|earlier|former|superseded|archived?)\s+version\b",
    re.IGNORECASE,
)
_UP_TO = re.compile(
    r"\W{0,3}(?:until|to|through|till|bis|au|hasta|al|até|[–—-])\s+(?:the\s+)?(?:\d|[A-Z]\w{2,9}\.?\s+\d)"
)
_SHORT_YEAR = re.compile(r"(?<![\d./-])(\d{1,2})/(\d{1,2})/(\d{2})(?![\d/])")
_REACH = 90


def effective_date(added: Sequence[str]) -> date | None:
    """The day from which added texts say that the terms apply, or `None` if they name none.

    "Last updated", "dated" and "as of" alone say nothing of it, nor do dates of laws, products and earlier versions. A
    line of its own ("Effective date: …") comes before a sentence; otherwise the earliest day counts.
    """
    stated = [statement for text in added if _YEAR_OR_SHORT.search(text) for statement in _statements(text)]
    return min(stated)[1] if stated else None


_YEAR_OR_SHORT = re.compile(r"\d{4}|/\d\d(?!\d)|令和")
_EMPHASIS = re.compile(r"[*_\\]+")
_LINK_TARGET = re.compile(r"\]\([^()\s]*\)")


def _statements(text: str) -> Iterator[tuple[int, date]]:
    """(rank, day) of each date of effect; rank 0 for a line of its own."""
    text = _LINK_TARGET.sub("] ", _EMPHASIS.sub("", text))
    previous_end = 0
    for start, end, day in _days(text):
        breaks = [found.end() for found in _BREAK.finditer(text, max(0, start - 240), start)]
        low = breaks[-1] if breaks else max(0, start - 240)
        stop = _BREAK.search(text, end, end + 240)
        high = stop.start() if stop else min(len(text), end + 240)
        head, tail = text[max(low, previous_end) : start], text[end:high]
        if _has_effect(head, tail, text[low:start]):
            yield (0 if high - low <= 60 and not text[low:start].count(",") else 1), day
        previous_end = end


def _days(text: str) -> list[tuple[int, int, date]]:
    days = [(one.start, one.end, one.day) for one in find_dates(text) if one.day]
    for match in _SHORT_YEAR.finditer(text):
        first, second, year = int(match[1]), int(match[2]), 2000 + int(match[3])
        if (first > 12) != (second > 12):
            day = _day(year, first, second) if second > 12 else _day(year, second, first)
            if day:
                days.append((match.start(), match.end(), day))
    return sorted(days)


def _has_effect(head: str, tail: str, sentence: str) -> bool:
    """`head` is what stands before the date since the last one, `tail` what follows, both within the `sentence`."""
    if _EFFECT_AFTER.search(tail):
        return True
    cues = list(_EFFECT.finditer(head))
    if not cues or len(head) - cues[-1].end() > _REACH:
        return False
    cue = cues[-1]
    others = [found.end() for found in _OTHER_MEANING.finditer(head)]
    if (others and others[-1] >= cue.start()) or _EARLIER.search(sentence) or _UP_TO.match(tail):
        return False
    if _LAW.search(head, cue.end()):
        return False
    before = sentence[: len(sentence) - len(head) + cue.start()][-_LAW_REACH:]
    laws = list(_LAW.finditer(before))
    if laws and not _TERMS_WORD.search(before, laws[-1].end()):
        return False
    if cue[0].lower() == "updating" or cue[0].lower().startswith("will"):
        return re.search(r"\b(?:on|from|as\s+of|beginning|starting)\s*$", head, re.IGNORECASE) is not None
    # "Effective July 1, we are called …": the terms must be what takes effect.
    return not (re.match(r",\s", tail) and not _TERMS_WORD.search(sentence + tail))


_LAW_REACH = 160
