"""What whoever runs this archive decides: look now, pause, tell people, call it noise, pin a sentence.

Behind a token, by POST alone, with a proof in each form that it is one of ours. The web decides nothing itself: it calls
the archive's verbs and what the settings bring (`Operator`), and never fetches or sends.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Cookie, Depends, HTTPException, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tosmon.errors import TosmonError
from tosmon.model import ChangeState, TermsKey
from tosmon.publish.links import change_path, document_path
from tosmon.web.filters import id_asked
from tosmon.web.forms import OUR_LOGIN, OURS, Form, TheForm, field
from tosmon.web.serving import OPERATOR_COOKIE
from tosmon.web.sessions import LASTS, Session, Sessions, network_of
from tosmon.web.settings import Operator
from tosmon.web.site import Site, TheSite

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

_SHOWN = 40
_NOT_KEPT = "cookie"
_SAID = {
    "looked": "It is due now: whoever looks will look at it next.",
    "paused": "Paused: it is not looked at until you resume it.",
    "resumed": "Resumed: it is looked at when its time comes.",
    "still": "It stays paused: the configuration says so, too.",
    "released": "Released: people are told.",
    "noise": "Called noise: who was told gets a correction.",
    "before": "That was decided before; nothing was done.",
    "masked": "Nobody is told of that part.",
    "shown": "People are told of that part again.",
    "pinned": "Pinned: you hear of it when this sentence changes or goes.",
    "nothing": "There is no such document to look at.",
}


def _operator(site: Site) -> tuple[Operator, Sessions]:
    if site.settings.operator is None or site.sessions is None:
        raise HTTPException(404, "Nobody can log in here: no token is set (see docs/web.md).")
    return site.settings.operator, site.sessions


def session_of(site: TheSite, tosmon_operator: Annotated[str | None, Cookie()] = None) -> Session | None:
    """The session of whoever asks; `None` for readers."""
    return site.sessions.read(tosmon_operator, site.clock()) if site.sessions is not None else None


TheSession = Annotated[Session | None, Depends(session_of)]


def _allowed(site: TheSite, session: TheSession, form: TheForm) -> Operator:
    """The operator's means, for a form of ours in an open session. Raises 401, 403, 404."""
    operator, _ = _operator(site)
    if session is None:
        raise HTTPException(401, "Log in first: your session is over, or you have none.")
    if not hmac.compare_digest(field(form, "proof").encode(), session.proof.encode()):
        raise HTTPException(403, "This form is not one of this site, or of an earlier session. Open the page again.")
    return operator


Allowed = Annotated[Operator, Depends(_allowed)]


# --- coming and going -----------------------------------------------------------------------------------------------


@router.get("/operator")
def desk(site: TheSite, session: TheSession, said: str = "") -> Response:
    _operator(site)
    if session is None:
        return _login(site, "cookie" if said == _NOT_KEPT else "")
    browse = site.browse
    return _uncached(
        site.render(
            "operator.html",
            title="For whoever runs this",
            session=session,
            said=_SAID.get(said, ""),
            waiting=browse.changes(states=(ChangeState.PENDING,), limit=_SHOWN),
            held_back=browse.changes(states=(ChangeState.SUPPRESSED,), limit=_SHOWN),
            incidents=browse.incidents(),
            paused=[one for one in browse.documents() if one.paused],
            volatile=site.archive.operating.volatile(),
        )
    )


@router.post("/operator/login", dependencies=OUR_LOGIN)
def login(site: TheSite, request: Request, form: TheForm) -> Response:
    _, sessions = _operator(site)
    now, network = site.clock(), network_of(request.client.host if request.client else "")
    if sessions.is_closed(now, network):
        return _login(site, "later", 429)
    session = sessions.open(field(form, "token"), now, network)
    if session is None:
        return _login(site, "token", 403)
    secure = urlsplit(site.settings.site_url).scheme == "https"
    # Over plain http a browser drops a cookie that is marked Secure, so the next page has to say why nothing happened.
    may_be_lost = secure and request.url.scheme != "https"
    answer = RedirectResponse(f"/operator?said={_NOT_KEPT}" if may_be_lost else "/operator", 303)
    answer.set_cookie(
        OPERATOR_COOKIE,
        session.cookie,
        max_age=int(LASTS.total_seconds()),
        secure=secure,
        httponly=True,
        samesite="strict",
    )
    return answer


def _login(site: Site, wrong: str, status: int = 200) -> Response:
    answer = site.render("login.html", status=status, title="For whoever runs this", wrong=wrong)
    answer.headers["Referrer-Policy"] = "same-origin"  # with ours a browser hides where the form came from: OUR_LOGIN
    return _uncached(answer)


@router.post("/operator/logout", dependencies=OURS)
def logout(site: TheSite, operator: Allowed) -> Response:
    """End every session that was opened with the token, here and in other browsers."""
    site.archive.operating.end_sessions()
    answer = RedirectResponse("/", 303)
    answer.delete_cookie(OPERATOR_COOKIE, httponly=True, samesite="strict")
    return answer


# --- one document ---------------------------------------------------------------------------------------------------


@router.post("/operator/check", dependencies=OURS)
def check(site: TheSite, operator: Allowed, form: TheForm) -> Response:
    key = _key(form)
    return _back(document_path(key), "looked" if site.archive.check_soon(key, site.clock()) else "nothing")


@router.post("/operator/pause", dependencies=OURS)
def pause(site: TheSite, operator: Allowed, form: TheForm) -> Response:
    key = _key(form)
    return _back(document_path(key), "paused" if site.archive.operating.pause(key, site.clock()) else "before")


@router.post("/operator/resume", dependencies=OURS)
def resume(site: TheSite, operator: Allowed, form: TheForm) -> Response:
    key = _key(form)
    declared_paused = key in operator.declared_paused
    done = site.archive.operating.resume(key, site.clock(), declared_paused=declared_paused)
    return _back(document_path(key), "still" if declared_paused else "resumed" if done else "before")


@router.post("/operator/part", dependencies=OURS)
def part(site: TheSite, operator: Allowed, form: TheForm) -> Response:
    """Tell of a part that changes by itself all the same, or no more."""
    shown = field(form, "shown") == "1"
    if not site.archive.operating.show_part(_number(form, "part"), shown):
        raise HTTPException(404, "There is no such part.")
    return _back("/operator", "shown" if shown else "masked")


@router.post("/operator/pin", dependencies=OURS)
def pin(site: TheSite, operator: Allowed, form: TheForm) -> Response:
    """Ask to hear of it when a sentence of the latest text changes or goes."""
    if operator.pin is None:
        raise HTTPException(404, "This server cannot pin.")
    key = _key(form)
    _done(operator.pin, key, field(form, "sentence"))
    return _back(document_path(key), "pinned")


# --- one change -----------------------------------------------------------------------------------------------------


@router.post("/operator/release", dependencies=OURS)
def release(site: TheSite, operator: Allowed, form: TheForm) -> Response:
    if operator.release is None:
        raise HTTPException(404, "This server cannot tell anybody: start tosmon run.")
    change_id = _number(form, "change")
    return _back(change_path(change_id), "released" if _done(operator.release, change_id) else "before")


@router.post("/operator/noise", dependencies=OURS)
def noise(site: TheSite, operator: Allowed, form: TheForm) -> Response:
    if operator.mark_as_noise is None:
        raise HTTPException(404, "This server cannot take anything back: start tosmon run.")
    change_id = _number(form, "change")
    return _back(change_path(change_id), "noise" if _done(operator.mark_as_noise, change_id) else "before")


# --- what comes in and goes out --------------------------------------------------------------------------------------


def said_of(session: Session | None, said: str) -> str:
    """What a page says after an action; readers are told nothing, whatever stands in the address."""
    return _SAID.get(said, "") if session is not None else ""


def _done(action: Callable[..., object], *arguments: object) -> bool:
    """Whether anything was done; a refusal is told as it is."""
    try:
        return bool(action(*arguments))
    except TosmonError as error:
        raise HTTPException(409, str(error)) from error


def _key(form: Form) -> TermsKey:
    return TermsKey(field(form, "service"), field(form, "type"))


def _number(form: Form, name: str) -> int:
    found = id_asked(field(form, name), [])
    if found is None:
        raise HTTPException(404, "There is no such thing in this archive.")
    return found


def _back(path: str, said: str) -> Response:
    return RedirectResponse(f"{path}?said={quote(said)}", 303)


def _uncached(answer: HTMLResponse) -> HTMLResponse:
    answer.headers["Cache-Control"] = "no-store"
    return answer
