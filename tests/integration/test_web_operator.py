"""What the operator does on the web, over real HTTP: nobody else can, and no other site can do it in their name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
import web_story as story
from bs4 import BeautifulSoup
from web_server import serving

from tosmon.archive import Archive
from tosmon.errors import TosmonError
from tosmon.model import TermsKey
from tosmon.publish import links
from tosmon.web import Operator, WebSettings, app
from tosmon.web.sessions import Sessions

TOKEN = "a token for tests, long enough"
ACTIONS = ("check", "pause", "resume", "release", "noise", "part", "pin", "logout")
INKWELL = {"service": story.INKWELL.service, "type": story.INKWELL.type}


@dataclass
class Desk:
    """The story's archive with an operator, and what was asked of them."""

    archive: Archive
    base: str
    told: story.Told
    asked: list[Any] = field(default_factory=list)

    def post(self, path: str, session: requests.Session | None = None, **more: Any) -> requests.Response:
        return (session or requests).post(self.base + path, timeout=30, allow_redirects=False, **more)

    def logged_in(self) -> tuple[requests.Session, str]:
        """A session in a browser, and the proof that its forms carry."""
        session = requests.Session()
        answer = self.post("/operator/login", session, data={"token": TOKEN})
        assert answer.status_code == 303, answer.text
        page = BeautifulSoup(session.get(f"{self.base}/operator", timeout=30).text, "lxml")
        proof = page.select_one("input[name=proof]")
        assert proof is not None
        return session, str(proof["value"])


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    archive = Archive(f"sqlite:///{tmp_path}/archive.sqlite")
    recorded = story.tell(archive, tmp_path / "snapshots")
    made = Desk(archive, "", recorded)

    def release(change_id: int) -> bool:
        if change_id == 404:
            raise TosmonError("change 404 cannot be released: it was told")
        made.asked.append(("release", change_id))
        return True

    def noise(change_id: int) -> bool:
        made.asked.append(("noise", change_id))
        return False

    def pin(key: TermsKey, sentence: str) -> None:
        made.asked.append(("pin", key, sentence))

    settings = WebSettings(operator=Operator(TOKEN, release, noise, pin))
    with serving(app(archive, settings, lambda: story.NOW)) as made.base:
        yield made
    archive.close()


@pytest.mark.parametrize("action", ACTIONS)
def test_no_action_without_a_session(desk: Desk, action: str) -> None:
    """Whoever has not logged in can do nothing, and nothing can be done by following a link."""
    assert desk.post(f"/operator/{action}", data={**INKWELL, "change": 1}).status_code == 401
    assert requests.get(f"{desk.base}/operator/{action}", timeout=30).status_code == 405
    assert desk.asked == []


@pytest.mark.parametrize("action", ACTIONS)
def test_no_action_without_the_proof_of_a_form_of_ours(desk: Desk, action: str) -> None:
    """A session alone is not enough: another site can send a form, but does not know what ours carry."""
    session, proof = desk.logged_in()
    _, other = desk.logged_in()
    for forged in ({}, {"proof": ""}, {"proof": other}, {"proof": proof[:-1]}, {"proof": "é"}):
        answer = desk.post(f"/operator/{action}", session, data={**INKWELL, "change": 1, **forged})
        assert answer.status_code == 403, forged


def test_forms_from_other_sites_are_refused(desk: Desk) -> None:
    """Where a browser says that another site sent the form, nothing is done, whatever it carries."""
    session, proof = desk.logged_in()
    for headers in (
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        answer = desk.post("/operator/pause", session, data={**INKWELL, "proof": proof}, headers=headers)
        assert answer.status_code == 403
    assert (
        desk.post("/operator/login", data={"token": TOKEN}, headers={"Origin": "https://evil.example"}).status_code
        == 403
    )
    document = desk.archive.browse.document(story.INKWELL)
    assert document is not None and not document.paused


def test_the_session_is_a_cookie_that_scripts_and_other_sites_never_see(desk: Desk) -> None:
    """HttpOnly, SameSite=Strict, for twelve hours; Secure where the site is."""
    cookie = desk.post("/operator/login", data={"token": TOKEN}).headers["Set-Cookie"].lower()

    assert "httponly" in cookie and "samesite=strict" in cookie and "max-age=43200" in cookie
    settings = WebSettings(site_url="https://terms.example.org", operator=Operator(TOKEN))
    with serving(app(desk.archive, settings, lambda: story.NOW)) as base:
        answer = requests.post(f"{base}/operator/login", data={"token": TOKEN}, timeout=30, allow_redirects=False)
        assert "secure" in answer.headers["Set-Cookie"].lower()


def test_a_wrong_token_opens_nothing_and_many_close_the_door(desk: Desk) -> None:
    """Ten wrong tokens, and for five minutes even the right one is not looked at."""
    for wrong in range(10):
        answer = desk.post("/operator/login", data={"token": f"wrong {wrong}"})
        assert answer.status_code == 403 and "Set-Cookie" not in answer.headers
    answer = desk.post("/operator/login", data={"token": TOKEN})

    assert answer.status_code == 429 and "Wait five minutes" in answer.text


def test_a_stranger_does_not_lock_the_operator_out() -> None:
    """Wrong tokens count for the network that they come from; only very many close the door for all."""
    sessions = Sessions(TOKEN, lambda: 0)
    for _ in range(10):
        assert sessions.open("wrong", story.NOW, "203.0.113") is None
    assert sessions.is_closed(story.NOW, "203.0.113") and not sessions.is_closed(story.NOW, "198.51.100")
    assert not sessions.is_closed(story.NOW + timedelta(minutes=6), "203.0.113")
    for number in range(500):
        sessions.open("wrong", story.NOW, str(number))
    assert sessions.is_closed(story.NOW, "198.51.100")


def test_a_login_says_where_it_came_from(desk: Desk) -> None:
    """`Origin: null` is what a page elsewhere can send; our own login lets browsers name us, also over plain http."""
    page = requests.get(f"{desk.base}/operator", timeout=30)
    assert page.headers["Referrer-Policy"] == "same-origin"
    for headers, status in (
        ({"Origin": "null"}, 403),
        ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, 303),
        ({"Origin": desk.base}, 303),
    ):
        assert desk.post("/operator/login", data={"token": TOKEN}, headers=headers).status_code == status


def test_a_session_that_the_browser_drops_is_explained(desk: Desk) -> None:
    """Where the site is https and the login came over http, the cookie is not kept, and the next page says so."""
    settings = WebSettings(site_url="https://terms.example.org", operator=Operator(TOKEN))
    with serving(app(desk.archive, settings, lambda: story.NOW)) as base, requests.Session() as browser:
        answer = browser.post(f"{base}/operator/login", data={"token": TOKEN}, timeout=30)
    assert "your browser kept no session" in answer.text and "https://terms.example.org/operator" in answer.text


def test_forged_and_old_sessions_are_none(desk: Desk) -> None:
    """A cookie that was made up, cut, or of another token or yesterday opens nothing, and breaks nothing."""
    session, _ = desk.logged_in()
    cookie = session.cookies["tosmon_operator"]
    forged = ["", "x", "..", cookie[:-1], f"9{cookie}", "99999999999999.x." + cookie.rpartition(".")[2], "x" * 5000]
    for one in forged:
        answer = requests.get(f"{desk.base}/operator", cookies={"tosmon_operator": one}, timeout=30)
        assert answer.status_code == 200 and "Log in" in answer.text
    for token, moment in (("another token, long enough", story.NOW), (TOKEN, story.NOW + timedelta(hours=13))):
        later = app(desk.archive, WebSettings(operator=Operator(token)), partial(datetime.fromisoformat, str(moment)))
        with serving(later) as base:
            answer = requests.get(f"{base}/operator", cookies={"tosmon_operator": cookie}, timeout=30)
            assert "Log in" in answer.text


def test_a_document_is_looked_at_now_paused_and_resumed(desk: Desk) -> None:
    """The buttons of a document do what the command line does, and the page says what was done."""
    session, proof = desk.logged_in()
    path = links.document_path(story.INKWELL)
    fields = {**INKWELL, "proof": proof}

    answer = desk.post("/operator/check", session, data=fields)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{path}?said=looked")
    assert "It is due now" in session.get(desk.base + answer.headers["Location"], timeout=30).text
    document = desk.archive.browse.document(story.INKWELL)
    assert document is not None and document.due_at == story.NOW
    for action, paused in (("pause", True), ("resume", False)):
        assert desk.post(f"/operator/{action}", session, data=fields).status_code == 303
        document = desk.archive.browse.document(story.INKWELL)
        assert document is not None and document.paused is paused


def test_changes_are_released_and_called_noise(desk: Desk) -> None:
    """What the web cannot do itself it hands to those who can; a refusal says why."""
    session, proof = desk.logged_in()
    change = desk.told.changes["cosmetic"]

    released = desk.post("/operator/release", session, data={"change": change, "proof": proof})
    noise = desk.post("/operator/noise", session, data={"change": change, "proof": proof})
    refused = desk.post("/operator/release", session, data={"change": 404, "proof": proof})
    pinned = desk.post("/operator/pin", session, data={**INKWELL, "sentence": " We own it. ", "proof": proof})

    assert released.headers["Location"] == f"{links.change_path(change)}?said=released"
    assert noise.headers["Location"].endswith("said=before")
    assert refused.status_code == 409 and "it was told" in refused.text
    assert pinned.status_code == 303
    assert desk.asked == [("release", change), ("noise", change), ("pin", story.INKWELL, "We own it.")]


@pytest.mark.parametrize("number", ["", "x", "-1", "9" * 30, "１"])
def test_numbers_that_are_none_are_not_found(desk: Desk, number: str) -> None:
    """A mangled form is refused, not passed on."""
    session, proof = desk.logged_in()

    for action, name in (("release", "change"), ("noise", "change"), ("part", "part")):
        assert desk.post(f"/operator/{action}", session, data={name: number, "proof": proof}).status_code == 404
    assert desk.asked == []


def test_readers_see_no_buttons_and_nothing_kept_shows_them(desk: Desk) -> None:
    """The operator's pages are never kept for others: who comes after them sees what readers see."""
    session, _ = desk.logged_in()
    for path in (links.document_path(story.INKWELL), links.change_path(desk.told.changes["cosmetic"])):
        before = requests.get(desk.base + path, timeout=30)
        mine = session.get(desk.base + path, timeout=30)
        after = requests.get(desk.base + path, timeout=30)
        assert 'name="proof"' in mine.text and mine.headers["Cache-Control"] == "no-store"
        assert 'name="proof"' not in before.text and after.text == before.text


def test_what_an_address_says_was_done_is_not_shown_to_readers(desk: Desk) -> None:
    """A link cannot make the site claim that something was done."""
    path = f"{links.document_path(story.INKWELL)}?said=paused"

    assert "Paused" not in requests.get(desk.base + path, timeout=30).text


def test_logging_out_ends_the_session(desk: Desk) -> None:
    """The cookie is taken away, and whoever kept a copy of it has nothing."""
    session, proof = desk.logged_in()
    copy = dict(session.cookies)
    desk.post("/operator/logout", session, data={"proof": proof})

    assert "Log in" in session.get(f"{desk.base}/operator", timeout=30).text
    assert "Log in" in requests.get(f"{desk.base}/operator", cookies=copy, timeout=30).text
    assert desk.logged_in()[0].cookies, "one can log in again"


def test_without_a_token_nobody_is_an_operator(desk: Desk) -> None:
    """Where none is set there is no login, and no action."""
    with serving(app(desk.archive, WebSettings(), lambda: story.NOW)) as base:
        assert requests.get(f"{base}/operator", timeout=30).status_code == 404
        assert requests.post(f"{base}/operator/login", data={"token": ""}, timeout=30).status_code == 404
        assert requests.post(f"{base}/operator/pause", data=INKWELL, timeout=30).status_code == 404
