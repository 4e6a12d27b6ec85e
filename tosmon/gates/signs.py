"""What pages that came instead of a document say of themselves, in the languages platforms use.

Only ever held against short pages, or against a title or first heading: see `tosmon.gates.verdict`.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

from selectolax.lexbor import LexborHTMLParser

from tosmon.gates.likeness import count
from tosmon.model import Response


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


CHALLENGE = _any(
    r"verify (that )?you(’|')?( a)?re (a )?(human|not a (ro)?bot)",
    r"(confirm|prove|make sure|ensure)( that)? you(’|')?( a)?re (a |not a )?(human|(ro)?bot|real person)",
    r"are you (a )?(human|robot)\b",
    r"i(’|')?( a)?m not a robot",
    r"enable javascript and cookies",
    r"(turn|please enable) (on )?javascript( on)? (and cookies|and reload|and then reload)",
    r"checking (if the site connection|your browser|that you are)",
    r"(detected )?unusual (traffic|activity) from",
    r"automated (requests|access|queries|tools) (from|to|has|have)",
    r"access (to this (page|site|resource|website) )?(has been |is |was )?(denied|blocked|forbidden)",
    r"you (have been|were|are being) (blocked|rate limited)",
    r"(why have i been|sorry, you have been) blocked",
    r"pardon our interruption",
    r"(complete|performing|pass|solve) (the|a|this) (security (check|verification)|captcha)",
    r"performing security verification",
    r"press (&|and) hold",
    r"too many requests",
    r"you don(’|')t have permission to access",
    r"request (could not be satisfied|was (blocked|rejected)|unsuccessful)",
    r"(bestätigen|überprüfen) sie,? dass sie (ein mensch|kein roboter)",
    r"zugriff (wurde )?verweigert",
    r"vérifi(ez|er|ons) que vous êtes (un )?humain",
    r"accès (a été )?refusé",
    r"(verifi(que|ca|car)|confirm(a|e|ar)) que (eres|es|usted es) (un )?(ser )?humano",
    r"acceso (ha sido )?denegado",
    r"accesso negato",
    r"acesso negado",
    r"toegang geweigerd",
)
CHALLENGE_TITLE = _any(
    r"^just a moment",
    r"^attention required",
    r"^access (to this page has been )?denied",
    r"^(are you a )?robot( or human)?\?",
    r"^pardon our interruption",
    r"^(403|429|503)\b",
    r"^(security|human|bot) (check|verification|challenge)",
    r"^(request|access) (blocked|rejected|forbidden)",
    r"^(einen|nur einen) moment",
    r"^un instant",
    r"^un momento",
    r"captcha",
    r"ddos",
)
# Marks of the widespread gatekeepers. Each may stand on a good page too (a form with a captcha), never on a bare one.
CHALLENGE_MARKUP = re.compile(
    rb"cf-chl|cf_chl|challenge-form|cf-turnstile|_Incapsula_Resource|captcha-delivery\.com|px-captcha|"
    rb"awswaf\.com|gokuProps|g-recaptcha|h-captcha|arkoselabs|/_sec/cp_challenge|kpsdk|sgcaptcha",
    re.IGNORECASE,
)
CONSENT = _any(
    r"before you continue",
    r"(we|we and our( \d+)? partners) (value|care about|respect) your (privacy|choice)",
    r"(accept|reject|allow|decline) all( cookies)?\b",
    r"(manage|customi[sz]e|set) (your |my )?(cookie |privacy )?(preferences|choices|settings|options)",
    r"(we|and our( \d+)? partners) (store|use) (and/or access |cookies)",
    r"consent (to|or) (the use of )?cookies",
    r"bevor (du|sie) (fortfahren|weitergehst|fortfährst|zu \w+ weitergeh\w+)",
    r"alle (cookies )?(akzeptieren|annehmen|ablehnen)",
    r"avant (de continuer|d'accéder)",
    r"tout (accepter|refuser)",
    r"antes de continuar",
    r"(aceptar|rechazar|aceitar|rejeitar) (todo|tudo|todas)",
    r"prima di continuare",
    r"(accetta|rifiuta) tutt[io]",
    r"alles (accepteren|weigeren|afwijzen)",
)
LOGIN = _any(
    r"^(please )?(log ?in|sign ?in|log on)\b",
    r"\b(log|sign) ?in (to|with|or|using) (your|an?|continue|create|sign|google|apple|facebook|email)",
    r"(forgot|reset) (your |my )?password",
    r"(create|need|don(’|')t have) an account",
    r"you (must|need to|have to) (be logged|log|sign) ?in",
    r"(e-?mail|phone|user ?name)[^.]{0,40}password",
    r"passwort vergessen",
    r"melden sie sich an",
    r"^(anmelden|einloggen|connexion|se connecter|iniciar sesi[oó]n|accedi|entrar|inloggen|logga in|zaloguj)\b",
    r"mot de passe oublié",
    r"(has olvidado|olvidaste|esqueceu)( t?u| a sua)?( la)? (contraseña|senha)",
    r"password dimenticata",
    r"wachtwoord vergeten",
)
LOGIN_TITLE = _any(
    r"^(log ?in|sign ?in|log on|sign up|please (log|sign) ?in|login required|authentication required)\b",
    r"\b(log ?in|sign ?in)$",
    r"^(anmelden|anmeldung|einloggen|connexion|se connecter|iniciar sesi[oó]n|accedi|accesso|entrar|inloggen|logga in)\b",
)
LOGIN_PATH = re.compile(
    r"/(log-?in|sign-?in|sign_in|log_in|signin|logon|auth|authenticate|authorize|oauth2?|sso|account/begin|checkpoint)(/|$|\.|\?)",
    re.IGNORECASE,
)
ERROR = _any(
    r"\b(error|http)[ :]*(404|410|50[0-4])\b",
    r"\b404\b.{0,30}\b(not found|error|page)",
    r"(page|content|document|file|url|link|site)\b.{0,60}(not found|(cannot|can[’']t|could not|couldn[’']t) be found)",
    r"(page|content|document|file|url|link|site|this)\b.{0,60}(does ?n[o’']t exist|no longer exists|does not exist)",
    r"(page|content|document|link|site|this)\b.{0,60}(is ?n[o’']t|is not|no longer|not currently) available",
    r"(can(’|')t|cannot|could ?n(’|')t|unable to|could not|can not) find (the|that|this|what) ?(page|you|content|url)?",
    r"nothing (was found|here)",
    r"\b(whoops|oops|uh[ -]oh)\b",
    r"(something|an error) (went wrong|(has |have )?occurred)",
    r"(internal server|application|client-side|unexpected) (error|exception)",
    r"(under|down for|scheduled) (construction|maintenance)",
    r"(service|site|page) (is )?(temporarily )?unavailable",
    r"try (again|reloading|refreshing)",
    r"bad gateway|gateway time-?out",
    r"seite (wurde |konnte )?(leider )?nicht (gefunden|verfügbar)",
    r"(seite|inhalt)\b.{0,40}(existiert nicht|nicht mehr verfügbar)",
    r"(page|contenu) (introuvable|non trouvée?|n(’|')existe (pas|plus)|n(’|')est (pas|plus) disponible)",
    r"(página|contenido) no (encontrad[ao]|existe|está disponible)",
    r"pagina (non (trovata|disponibile|esiste)|niet gevonden)",
    r"página não (encontrada|existe|está disponível)",
    r"sidan (hittades inte|kunde inte hittas|finns inte)",
)
ERROR_TITLE = _any(
    r"^(error )?(404|410|500|502|504)\b",
    r"^(error|whoops|oops|uh[ -]oh)\b",
    r"^(page|content|document|file)? ?(not found|unavailable|no longer available|does ?n[o’']t exist|is ?n[o’']t available)",
    r"^(the |this |sorry,? )*(page|content|link|document) (you |was |is |cannot |could |can[’']t |isn[’']t |does)",
    r"^(we )?(can(’|')t|couldn(’|')t|cannot|could not) find",
    r"^(something|an error) (went wrong|occurred)",
    r"^(under|down for|scheduled)? ?maintenance\b",
    r"^(seite|dokument|inhalt) (wurde )?nicht (gefunden|verfügbar)",
    r"^page (introuvable|non trouvée)",
    r"^página no encontrada",
    r"^pagina (non trovata|niet gevonden)",
    r"^página não encontrada",
)
_TITLE_PARTS = re.compile(r"\s+[|·•–—:»-]\s+|\s*\|\s*")
_FEW_WORDS = 250
_NOSCRIPT = re.compile(rb"<noscript[^>]*>(.*?)</noscript\s*>", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(rb"<title[^>]*>([^<]{1,500})", re.IGNORECASE)
_FIRST_HEADING = re.compile(r"^\s*(?:#{1,3}\s+(.+)|(.+)\n[=-]{3,})", re.MULTILINE)


@dataclass(frozen=True)
class Face:
    """A response as a visitor sees it, whatever was selected from it. Read only when there is a doubt."""

    response: Response

    @cached_property
    def _tree(self) -> LexborHTMLParser:
        # Browsers read <noscript> as raw text. A parser that does not falls into the unclosed <iframe> of a widespread
        # tracking snippet there, and takes all the rest of the page for its raw text.
        return LexborHTMLParser(_NOSCRIPT.sub(b" ", self._body).decode("utf-8", "replace"))

    @property
    def _body(self) -> bytes:
        return self.response.body[:2_000_000]

    @cached_property
    def titles(self) -> list[str]:
        """The parts of the title, and the first heading."""
        heading = self._tree.css_first("h1")
        shown = " ".join(heading.text(separator=" ").split()) if heading else ""
        return [*title_parts(self.response.body), *([shown] if shown else [])]

    @cached_property
    def has_password(self) -> bool:
        return self._tree.css_first("input[type=password]") is not None

    @cached_property
    def text(self) -> str:
        """All visible text, and what is said to those without scripts."""
        tree = self._tree.clone()
        tree.strip_tags(["script", "style", "template", "svg"])
        shown = tree.body.text(separator=" ") if tree.body else ""
        hidden = [LexborHTMLParser(part.decode("utf-8", "replace")).text() for part in _NOSCRIPT.findall(self._body)]
        return " ".join(" ".join([shown, *hidden]).split())

    @cached_property
    def words(self) -> int:
        return count(self.text)

    def titled(self, pattern: re.Pattern[str]) -> str | None:
        """The first title or heading that the pattern matches."""
        return next((title for title in self.titles if pattern.search(title)), None)


def title_parts(body: bytes) -> list[str]:
    """The title of a page, by its parts: "Not found | Example" is two."""
    found = _TITLE.search(body[:200_000])
    title = html.unescape(found[1].decode("utf-8", "replace")) if found else ""
    return [" ".join(part.split()) for part in _TITLE_PARTS.split(title) if part.strip()]


def is_challenge(title: str, text: str) -> bool:
    """Whether a page, by its title and all its visible text, is a challenge and nothing else."""
    if count(text) >= _FEW_WORDS:
        return False
    titles = [title, *_TITLE_PARTS.split(title)]
    return any(CHALLENGE_TITLE.search(part.strip()) for part in titles) or CHALLENGE.search(text) is not None


def said(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return found[0] if found else None


def times(pattern: re.Pattern[str], text: str) -> int:
    """How many different things of a kind a text says."""
    return len({found[0].lower() for found in pattern.finditer(text)})


def first_heading(text: str) -> str | None:
    """The first heading of a Markdown text, if it opens with one."""
    found = _FIRST_HEADING.search(text[:500])
    return (found[1] or found[2]).strip() if found else None


def is_home(url: str) -> bool:
    """Whether a URL is the front page of a site, in any of its languages."""
    path = urlsplit(url).path.strip("/").lower()
    return re.fullmatch(r"(?:[a-z]{2}(?:[-_][a-z]{2})?)?/?(?:home|index\.\w+)?", path) is not None


def place(url: str) -> str:
    """Where a URL leads, without what changes for no reason: scheme, `www.`, query, fragment, a slash at the end."""
    parts = urlsplit(url)
    host = (parts.hostname or "").removeprefix("www.")
    return host + (parts.path.rstrip("/").removesuffix("/index.html") or "/")
