"""Parts of a page that are not terms: menus, link lists, forms, banners, advertisements, error and login pages.

Selectors are rarely exact, so such parts stand among the clauses and change by themselves. Judged from the words
alone, and only where they are plain: a clause that could be a term is one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice

from tosmon.clauses.canonical import canonical
from tosmon.language import guess_language
from tosmon.model import Clause, ClauseKind

__all__ = ["among_furniture", "furniture", "in_consent_widget", "is_ruin", "is_title", "language", "speaks_of_terms"]

_LINK = re.compile(
    r"!?\[(?P<text>[^\[\]\\]*(?:(?:\\."
    r"|\[[^\[\]\\]*\])[^\[\]\\]*)*)\]\((?P<target>[^()\n]*(?:\([^()\n]*\)[^()\n]*)*)\)"
)
_IMAGE = re.compile(r"!\[[^\[\]]*\]\([^()\n]*(?:\([^()\n]*\)[^()\n]*)*\)")
_BARE_URL = re.compile(
    r"(?:https?://|www\.)\S+|\b[\w-]{1,63}(?:\.[\w-]{1,63}){0,4}\.(?:com|org|net|gov|edu|int|info|io|eu|[a-z]{2})(?:/\S*)?(?=$"
    r"|[\s)\],;])"
)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")

# What sites write on buttons, above menus and forms, and under articles; matched against the whole clause.
_LABELS = re.compile(
    r"(?:loading|please wait|next|previous|back|continue|submit|send|cancel|close|menu|search|share|print|save"
    r"|edit|home|more"
    r"|help|help cent(?:er|re)|support|copy link|link copied|top|back to (?:the )?top|skip to (?:main )?content"
    r"|contents"
    r"|table of contents|index|on this page|in this (?:article|section|policy)|jump to(?: section)?|quick links"
    r"|useful links"
    r"|further reading|see also|read also|related(?: (?:articles?|topics?|content|links?|pages?|information"
    r"|resources))?"
    r"|(?:learn|read|see|view|show|load|find out|discover)(?: (?:more|less|all|details"
    r"|full list))?(?: about .{1,40})?"
    r"|(?:expand|collapse|open|close) all|contact(?: us| sales| support)?|get (?:started|help|in touch)"
    r"|(?:log|sign) ?(?:in|out|up)(?: with .{1,20})?|register|create (?:an )?account|my account|subscribe"
    r"|unsubscribe|follow us"
    r"|download(?: (?:now|pdf|as pdf|the app|.{1,20} for free.{0,30}))?|print(?:able version| this page)?|save as pdf"
    r"|(?:was|is|did) (?:this|the|you find this) ?(?:article|page|information|answer|content)? ?(?:helpful|useful)?"
    r"|how can we improve it|how can we help(?: you)?|(?:give|send|share|leave|submit) (?:us )?(?:your )?feedback"
    r"|feedback"
    r"|thank you for your feedback|thanks(?: for your feedback)?|what went wrong|how could it be better"
    r"|can you say more|tell us more"
    r"|your feedback helps .{0,60}|the (?:information|answer|article) is (?:confusing|outdated|incorrect|wrong)"
    r"|(?:the|this) (?:solution|answer|article)"
    r" (?:didn't|doesn't|did not|does not) .{1,40}|i (?:don't|do not) like .{1,40}|here|other"
    r"|share this(?: article| page)?|yes|no"
    r"|(?:select|choose|change)(?: a| your)? (?:language|region|country|location).{0,30}|language|languages|region"
    r"|something went wrong|(?:please )?try again(?: later)?|an error occurred|error|retry|wait|got it|ok|okay"
    r"|i agree|agree"
    r"|(?:e ?mail|your e ?mail|phone|business|company|first|last|full|user) ?(?:address|number|name)?"
    r"|first and last name|username"
    r"|password|zip code|country|required(?: field)?|number of .{1,20}|welcome back.{0,40}"
    r"|(?:accept|reject|allow|deny|decline|manage)(?: all)?(?: (?:cookies|preferences|settings|options|choices"
    r"|non essential cookies))*"
    r"|cookies? (?:settings|preferences|consent|list)|privacy (?:settings|preferences) cent(?:er|re)"
    r"|confirm my choices|always active"
    r"|opens in (?:a )?new (?:window|tab)(?: or tab)?|external link|arrow forward|expand more|chevron right"
    r"|previous article|next article|all (?:articles|topics)|recently viewed(?: articles)?|popular (?:articles"
    r"|topics)"
    r"|schedule .{1,25}|add to calendar|book a demo|request a demo|pick a time.{0,40}|(?:i )?just getting started"
    r"|start (?:now|free).{0,20}"
    r"|[\d.,]+ (?:views?|likes?|comments?|shares?|replies|people found this helpful)"
    r"|\d+ (?:out )?of \d+ (?:people )?found this helpful"
    r"|\d+ min(?:ute)?s? read|\d+ minutes? to read|\d+|advertisement|sponsored|promoted"
    r"|english(?: [a-z]+)?|français|deutsch|español|italiano|português|nederlands|svenska|dansk|norsk|suomi|polski"
    r"|čeština|magyar"
    r"|română|türkçe|русский|українська|ελληνικά|العربية|עברית|हिन्दी|ไทย|tiếng việt|bahasa indonesia|日本語|한국어|中文"
    r"|简体中文|繁體中文"
    r"|mehr(?: erfahren)?|weiter(?:lesen)?|zurück|inhalt(?:sverzeichnis)?|suche|anmelden|teilen|drucken"
    r"|en savoir plus|suivant"
    r"|sommaire|rechercher|partager|imprimer|se connecter|retour|más información|leer más|buscar|compartir|índice"
    r"|altro|scopri di più|cerca|condividi|indice|saiba mais|ler mais|partilhar|compartilhar|pesquisar|lees meer"
    r"|inhoud|zoeken)"
)
# The entries of a language picker: a language, in itself or in English, and where it is spoken so.
_LANGUAGE = re.compile(
    r"(?:english|français|deutsch|español|castellano|italiano|português|nederlands|svenska|dansk|norsk|suomi|polski"
    r"|čeština|slovenčina|magyar|română|türkçe|hrvatski|català|русский|українська|български|ελληνικά|العربية|עברית"
    r"|हिन्दी|ไทย|tiếng việt|bahasa (?:indonesia|melayu)|indonesia|日本語|한국어|中文|简体中文|繁體中文|繁体中文"
    r"|french|german|spanish|italian|portuguese|dutch|swedish|danish|norwegian|finnish|polish|czech|slovak|hungarian"
    r"|romanian|turkish|croatian|catalan|russian|ukrainian|bulgarian|greek|arabic|hebrew|hindi|thai|vietnamese"
    r"|indonesian|malay|japanese|korean|chinese)"
    r"(?: (?:us|usa|uk|gb|ca|au|eu|united|states|kingdom|great|britain|canada|australia|india|ireland|new|zealand"
    r"|international|global|spain|españa|mexico|méxico|latin|america|latinoamérica|brazil|brasil|portugal|france"
    r"|belgium|belgique|belgië|switzerland|schweiz|suisse|svizzera|austria|österreich|germany|deutschland|italy"
    r"|italia|netherlands|nederland|china|taiwan|hong|kong|singapore|simplified|traditional|简体|繁體|繁体|台灣"
    r"|香港)){0,4}"
)
_FORM = re.compile(
    r"loading|next|submit|continue|something went wrong|(?:your )?(?:e ?mail|phone|business|company|first|last"
    r"|full|user) ?(?:address|number"
    r"|name)?|first and last name|username|password|zip code|number of .{1,20}|required(?: field)?|message|job title"
)
_STANDING = re.compile(
    # Sentences about the page itself, not about what the terms say.
    r"(?:please )?(?:click|tap|go|see|view|visit|read)(?: here| below| our| the| to)* ?(?:to )?(?:view|see|read"
    r"|download|access|print|for)?"
    r"(?: the| our| your| a| an| all| this)*(?: current| previous| prior| past| archived| earlier| old| new| full"
    r"| latest| pdf| printable)+"
    r" ?(?:version|versions|policy|policies|privacy policy|privacy notice|terms|terms of (?:use|service)|archive"
    r"|copy|pdf)?(?: .{0,30})?"
    r"|(?:this (?:site|website|page) uses cookies|we use cookies (?:to|on this)).{0,200}"
    r"|.{0,60}\b(?:accept|reject) all(?: cookies)?\b.{0,80}"
    r"|(?:please )?enable (?:javascript|cookies)\b.{0,100}|your browser (?:is|does) not support(?:ed)?.{0,60}"
    r"|it looks like you (?:might|may) be .{0,120}|watch how .{0,120}|(?:join|over) [\d.,]+ .{0,60}"
)
_ANNOUNCEMENT = re.compile(
    r"(?:update \w+ \d{4} )?we(?:'ve| have)? (?:recently |just )?(?:updated|made (?:some )?changes to|revised"
    r"|changed)"
    r" (?:our|this|these|the)\b.{0,160}|.{0,80}\b(?:feedback|consultation|comment) (?:cycle|period|round)\b.{0,400}"
)
_SPEAKS = re.compile(
    r"\b(?:you (?:may|must|shall|will|agree|acknowledge|represent|grant|understand|consent|warrant|can|are|have)"
    r"|we (?:may|will|shall"
    r"|collect|use|process|share|retain|disclose|reserve|store|keep|do not|don't|never|can|are|have)|agreement"
    r"|liab\w+|personal (?:data"
    r"|information)|arbitrat\w+|prohibit\w*|licen[cs]e[ds]?|terms|polic(?:y|ies)|rights?|(?<!no )obligations?"
    r"|fees?|refunds?|warrant\w+"
    r"|third[ -]part(?:y|ies)|consent|subject to|must|shall|laws?)\b",
    re.IGNORECASE,
)
# What the widgets for consent put on thousands of sites, word for word.
_CONSENT_WIDGET = re.compile(
    r"these cookies are necessary for the website to function and cannot be switched off"
    r"|these cookies allow us to count visits and traffic sources"
    r"|these cookies enable the website to provide enhanced"
    r"|these cookies may be set (?:through|by) (?:our|the) site"
    r"|a cookie is a small piece of data text file that a website"
    r"|cookiepedia|cookies? subgroup|confirm my choices|consent legitimate interest|list of iab vendors"
    r"|cookies details"
    r"|strictly necessary cookies|always active"
)
# A table's caption for screen readers, which Markdown has no place for, run into the rule under the head.
_CAPTION = re.compile(r"\s*\|(?:\s*:?-{2,}:?\s*\|)+\s*([^|]{0,80})")
_CONSENT_HINT = re.compile(r"[Cc]ookie|[Cc]hoices|[Cc]onsent|IAB|[Aa]lways")
_ADDRESSES = re.compile(r"\b(?:you|we|us|must|shall|may|agree)\b", re.IGNORECASE)
_VENDORS = re.compile(
    r"partner|vendor|processor|third.part|supplier|provider|recipient|affiliate|cookie|tracker|sdk", re.IGNORECASE
)


def furniture(clause: Clause, heading: str = "", *, removed: bool = False) -> bool:
    """Whether the clause is part of the site around the terms. `heading` is the nearest one above it.

    A removed announcement ("We've updated our policy …") is furniture too: an added one is news.
    """
    text = clause.text
    if "](" in text:
        text = _IMAGE.sub(" ", text)
        if len(text) > 260 and len(_LINK.sub("", text)) > 260:
            return False
    elif len(text) > 260:
        return False
    if clause.kind is ClauseKind.ROW and (caption := _CAPTION.fullmatch(text)):
        return not caption[1].rstrip().endswith(".")
    label = _label(text)
    if not label or _LABELS.fullmatch(label) or _LANGUAGE.fullmatch(label):
        return clause.kind is not ClauseKind.ROW or not label or label not in ("yes", "no")
    if _STANDING.fullmatch(label) or (removed and _ANNOUNCEMENT.fullmatch(label)):
        return True
    return "](" in text and _is_link_entry(text, clause.kind) and not (heading and _VENDORS.search(heading))


_TITLE = re.compile(
    r"terms|conditions?|service|services|use|user|users|privacy|polic(?:y|ies)|notice|statement|agreement|cookies?|legal"
    r"|general|and|of|the|for|our|rules|guidelines|imprint|nutzungsbedingungen|geschäftsbedingungen|allgemeine|agb"
    r"|datenschutz(?:erklärung|richtlinie|hinweise?)?|impressum|und|der|die|conditions|générales?|utilisation|vente|d|l"
    r"|de|du|des|et|la|le|politique|confidentialité|mentions|légales|términos|condiciones|uso|política|privacidad|y|del"
    r"|aviso|termini|condizioni|uso|informativa|sulla|e|di|termos|condições|privacidade|serviço|voorwaarden|algemene"
    r"|privacybeleid|privacyverklaring|gebruiksvoorwaarden|en|van"
)
_MOST_IN_TITLE = 8
_LONGEST_TITLE = 500  # with the address of a link in it


def is_title(clause: Clause) -> bool:
    """Whether the clause only names the document: "Example Terms and Conditions of Service"."""
    return len(clause.text) < _LONGEST_TITLE and _is_title(clause.text)


@lru_cache(maxsize=4096)
def _is_title(text: str) -> bool:
    found = _label(text).split()
    if not 2 <= len(found) <= _MOST_IN_TITLE:
        return False
    return sum(1 for word in found if _TITLE.fullmatch(word)) >= max(2, len(found) - 1)


def _is_link_entry(text: str, kind: ClauseKind) -> bool:
    """A link, or, in a list, a name with its addresses; not a sentence that holds some, and never a contact."""
    links = list(_LINK.finditer(text))
    if not links or _CONTACT.search(text):
        return False
    around = _WORD.findall(_BARE_URL.sub(" ", _LINK.sub(" ", text)))
    inside = [word for link in links for word in _WORD.findall(_BARE_URL.sub(" ", link["text"]))]
    if any(word.isdigit() and len(word) > 2 for word in around):
        return False  # a house, a postcode, a year: not only a pointer
    if len(around) <= len(links):
        return len(inside) <= _LONG_LABEL * len(links)
    shown = kind is ClauseKind.ITEM and any(_BARE_URL.search(link["text"]) for link in links)
    return shown and len(around) + len(inside) <= _LONG_LABEL and not _ADDRESSES.search(" ".join(around))


_LONG_LABEL = 24
_CONTACT = re.compile(r"@|mailto:|tel:|mail[\s\u00a0]{0,3}protected")


def in_consent_widget(clause: Clause) -> bool:
    """Whether the clause comes from a widget that asks for consent to cookies."""
    return (
        _CONSENT_HINT.search(clause.text) is not None
        and _CONSENT_WIDGET.search(" ".join(_WORD.findall(clause.text)).casefold()) is not None
    )


def among_furniture(clauses: Sequence[Clause], place: int) -> bool:
    """Whether the clause stands in a list of sources, or, the terms being elsewhere, in a form or among menus."""
    clause = clauses[place]
    near = [c for c in (*clauses[max(0, place - 5) : place], *clauses[place + 1 : place + 6]) if c.text]
    items = [c for c in near if c.kind is ClauseKind.ITEM]
    if clause.kind is ClauseKind.ITEM and len(items) >= 5 and _shows_address(clause):
        return sum(_shows_address(c) or _is_name(c) for c in items) >= 0.6 * len(items)
    short = [c for c in near if len(c.text) < 60]
    if len(near) < 8 or len(clause.text) > 1500 or len(short) < 3:
        return False
    in_form = len({label for c in short if _FORM.fullmatch(label := _short_label(c.text))}) >= 3
    in_menus = not any(map(speaks_of_terms, [clause, *near])) and sum(map(furniture, near)) >= 0.4 * len(near)
    return (in_form or in_menus) and _holds_terms(clauses)


_SURELY_TERMS = 30


def _holds_terms(clauses: Sequence[Clause]) -> bool:
    found = filter(speaks_of_terms, clauses)
    return sum(1 for _ in islice(found, _SURELY_TERMS)) == _SURELY_TERMS


def _shows_address(clause: Clause) -> bool:
    """A name with its web address, as lists of sources and attributions have them."""
    return any(_BARE_URL.search(link["text"]) for link in _LINK.finditer(clause.text))


def _is_name(clause: Clause) -> bool:
    return (
        len(clause.text) < 80 and not _SPEAKS.search(clause.text) and not clause.text.rstrip().endswith((".", ";", ":"))
    )


def _label(text: str) -> str:
    return " ".join(_WORD.findall(_LINK.sub(r"\g<text>", text))).casefold().replace("’", "'")


_short_label = lru_cache(maxsize=2048)(_label)


def speaks_of_terms(clause: Clause) -> bool:
    """Whether the clause could be a term: says what someone may, must or does with data, rights or money."""
    return len(clause.text) > 24 and _speaks(clause.text)


@lru_cache(maxsize=4096)  # the neighbours of every change are asked about
def _speaks(text: str) -> bool:
    return _SPEAKS.search(text) is not None


# --- whole texts -----------------------------------------------------------------------------------------------------

_NOT_TERMS = re.compile(
    r"(?:page|content|document|link|url) (?:you .{0,40})?(?:isn['’]t available|not (?:be )?found"
    r"|does ?n[o'’]t exist|no longer exists|unavailable)"
    r"|(?:error|http|status) ?(?:4\d\d|5\d\d)\b|^\W*(?:403|404|429|500|502|503)\b|access denied|forbidden"
    r"|page introuvable"
    r"|verify (?:that )?you(?:'re| are) (?:a )?human|are you a robot|checking your browser|enable javascript"
    r"|captcha|unusual traffic"
    r"|just a moment|attention required|log ?in to (?:continue|see)|you must (?:be logged|log|sign) in"
    r"|sign in to continue"
    r"|something went wrong|service unavailable|bad gateway|too many requests|temporarily unavailable"
    r"|under maintenance"
    r"|seite (?:wurde )?nicht gefunden|página no encontrada|pagina non trovata|página não encontrada",
    re.IGNORECASE | re.MULTILINE,
)


def is_ruin(clauses: Sequence[Clause], other: Sequence[Clause]) -> bool:
    """Whether the text is an error, login or empty page, or next to nothing of what `other` is."""
    size = sum(len(clause.text) for clause in clauses)
    if size > 2500:
        return False
    text = "\n".join(clause.text for clause in clauses)
    rest = sum(len(clause.text) for clause in other)
    if not canonical(text):
        return True
    if rest > 3 * size and _NOT_TERMS.search(text):
        return True
    return size < 400 and rest > 12 * size


def language(clauses: Sequence[Clause]) -> str | None:
    """The language most of the words are in; `None` when in doubt."""
    return guess_language(" ".join(clause.text for clause in clauses[:400]))
