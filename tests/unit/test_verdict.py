"""What a look is worth: each verdict with a page that shows it, and good terms that must not be taken for it."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tosmon.clauses import words
from tosmon.gates import LastGood, verdict
from tosmon.gates.likeness import likeness
from tosmon.gates.verdict import PART_SEPARATOR
from tosmon.model import Form, Observation, Reading, Response, SourceDocument, Terms, TermsKey, Verdict

NOW = datetime(2026, 5, 3, 12, tzinfo=UTC)
URL = "https://murmur.example/legal/terms"
DATA = Path(__file__).parents[3] / "shared/data/extraction"

SENTENCES = (
    "These terms govern your use of Murmur, a service of Murmur Holdings, and by opening an account you agree to them.",
    "You keep the rights in what you post, but you grant us a worldwide licence to host, store and show it to others.",
    "We may suspend your account if you break these rules, and we will tell you why unless the law forbids us to do so.",
    "If you must log in to reach your messages and have forgotten your password, follow the steps of our help centre.",
    "You must not use automated means to solve a captcha, nor send automated requests from many addresses at once.",
    "When a page is not found or a service is temporarily unavailable, we are not liable for what you could not read.",
    "We value your privacy, and you can manage your cookie preferences or reject all cookies in your settings.",
    "This agreement is ruled by the law of the place where our company is seated, without regard to conflicts of law.",
    "Payments are due in advance for each period, and fees that were paid are returned only where these terms say so.",
    "We change these terms from time to time; you will be told thirty days before a change takes effect.",
)
TEXT = "# Terms of Service\n\n" + "\n\n".join(
    f"## {number}. Section\n\n{SENTENCES[number % 10]} {SENTENCES[(number * 3 + 1) % 10]}" for number in range(1, 31)
)
GERMAN = "# Nutzungsbedingungen\n\n" + "\n\n".join(
    "Diese Bedingungen gelten für die Nutzung unseres Dienstes. Sie behalten die Rechte an Ihren Inhalten, räumen uns "
    f"aber ein Recht ein, sie zu speichern und anderen zu zeigen. Dies ist der Absatz {number} von vielen."
    for number in range(30)
)


def terms(*urls: str, language: str | None = None) -> Terms:
    form = Form(tuple(SourceDocument(url) for url in urls or (URL,)))
    return Terms(TermsKey("murmur", "Terms of Service"), "Murmur", form, language=language)


def response(
    html: str = "", url: str = URL, final_url: str | None = None, status: int = 200, **headers: str
) -> Response:
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Response(url, final_url or url, status, named, html.encode(), NOW)


def good(text: str = TEXT, *urls: str, language: str | None = "en", missing: tuple[str, ...] = ()) -> LastGood:
    return LastGood(len(words(text)), urls or (URL,), language, missing, text)


def page_of(text: str) -> str:
    return f"<html><head><title>Terms of Service | Murmur</title></head><body><main><p>{text}</p></main></body></html>"


def judged(
    html: str, text: str = "", last_good: LastGood | None = None, *, reading: Reading | None = None, **answer: str
) -> Observation:
    return verdict([response(html, **answer)], reading or Reading(text), terms=terms(), last_good=last_good)  # type: ignore[arg-type]


# --- ok --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("last_good", [None, good()])
def test_terms_that_speak_of_captchas_logins_and_missing_pages_are_ok(last_good: LastGood | None) -> None:
    """A word alone condemns nothing: real terms mention all that error pages say."""
    observation = judged(page_of(TEXT), TEXT, last_good)

    assert observation == Observation(Verdict.OK, "", Reading(TEXT))


@pytest.mark.parametrize("sentence", SENTENCES)
def test_short_documents_are_ok_whatever_they_mention(sentence: str) -> None:
    """An imprint or a policy of a few dozen words is a document too, once it is known."""
    text = f"# Notice\n\n{sentence} {SENTENCES[0]}"

    assert judged(page_of(text), text, good(text)).verdict is Verdict.OK


def test_an_imprint_is_ok_at_first_sight() -> None:
    """A few lines of address are all that some documents hold."""
    text = "# Imprint\n\nMurmur Holdings\nHarbour Street 5, Port Example\nmail@murmur.example\n\nDirector: Ada Example"

    assert judged(page_of(text), text).verdict is Verdict.OK


def test_a_banner_on_a_page_with_terms_is_no_wall() -> None:
    """Consent banners and log-in forms stand on many good pages, outside what is selected."""
    html = (
        page_of(SENTENCES[0] * 4)
        + "<div>We value your privacy. Accept all. Reject all.</div><input type=password>Log in"
    )

    assert judged(html, SENTENCES[0] * 4).verdict is Verdict.OK


@given(st.lists(st.sampled_from(SENTENCES), min_size=20, max_size=60))
def test_any_long_text_of_terms_is_ok(sentences: list[str]) -> None:
    """However its sentences stand, a text of the usual length passes."""
    text = "\n\n".join(sentences)

    assert judged(page_of(text), text).verdict is Verdict.OK


def test_halving_the_terms_is_a_change_not_a_collapse() -> None:
    """A platform may cut its terms by half; people are to be told."""
    assert judged(page_of(TEXT), TEXT[: len(TEXT) // 2], good()).verdict is Verdict.OK


# --- by status and headers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, Verdict.LOGIN), (403, Verdict.BLOCKED), (404, Verdict.GONE), (410, Verdict.GONE), (451, Verdict.GONE),
        (400, Verdict.GONE), (429, Verdict.BLOCKED), (500, Verdict.UNREACHABLE), (502, Verdict.UNREACHABLE),
        (503, Verdict.BLOCKED), (520, Verdict.UNREACHABLE), (302, Verdict.MOVED),
    ],
)  # fmt: skip
def test_error_statuses_speak_for_themselves(status: int, expected: Verdict) -> None:
    """An honest status needs no look at the page, however much it looks like terms."""
    observation = verdict([response(page_of(TEXT), status=status)], Reading(TEXT), terms=terms(), last_good=good())

    assert observation.verdict is expected
    assert str(status) in observation.detail
    assert observation.reading is None


def test_a_challenge_by_header_is_blocked() -> None:
    """Gatekeepers mark their challenges, also with status 200."""
    answer = response(page_of(TEXT), cf_mitigated="challenge")

    assert verdict([answer], Reading(TEXT), terms=terms(), last_good=None).verdict is Verdict.BLOCKED


def test_one_refused_part_spoils_the_whole() -> None:
    """Terms of several pages are whole or not at all."""
    answers = [response(page_of(TEXT)), response("gone", status=404)]

    assert verdict(answers, Reading(TEXT), terms=terms(URL, URL + "2"), last_good=None).verdict is Verdict.GONE


# --- challenges and walls ----------------------------------------------------------------------------------------------

CHALLENGES = {
    "moment": ("<title>Just a moment...</title><noscript>Enable JavaScript and cookies to continue</noscript>", ""),
    "human": ("<title>murmur.example</title><h1>Verify you are human by completing the action below.</h1>", ""),
    "human, read": (
        "<title>x</title>",
        "murmur.example needs to review the security of your connection. Verify you are human.",
    ),
    "denied": (
        "<title>Access Denied</title><h1>Access Denied</h1>You don't have permission to access this. Reference #18.2f",
        "",
    ),
    "captcha": ("<title>murmur.example</title><body><div class='g-recaptcha'></div><p>Please wait</p>", ""),
    "robot": ("<title>Robot or human?</title><p>Press and hold to confirm</p>", ""),
    "traffic": ("<p>Our systems have detected unusual traffic from your computer network.</p>", ""),
    "interruption": ("<title>Pardon Our Interruption</title><p>Something about your browser made us think</p>", ""),
    "german": ("<title>Einen Moment</title><p>Bestätigen Sie, dass Sie ein Mensch sind.</p>", ""),
    "french": ("<title>murmur</title><p>Vérifiez que vous êtes humain. Cela peut prendre quelques secondes.</p>", ""),
}


@pytest.mark.parametrize("last_good", [None, good()])
@pytest.mark.parametrize("name", CHALLENGES)
def test_challenges_are_blocked(name: str, last_good: LastGood | None) -> None:
    """A page that asks whether we are human is no text of terms, at first sight or later."""
    html, text = CHALLENGES[name]
    observation = judged(html, text, last_good)

    assert observation.verdict is Verdict.BLOCKED
    assert "platform" in observation.detail


@pytest.mark.parametrize(
    "text",
    [
        "Before you continue to Murmur. We use cookies and data to deliver our services. Accept all Reject all More options",
        "We value your privacy. We and our 832 partners store and/or access information. Accept all Manage settings",
        "Bevor Sie zu Murmur weitergehen. Wir verwenden Cookies. Alle akzeptieren Alle ablehnen",
        "Avant d'accéder à Murmur. Nous utilisons des cookies. Tout accepter Tout refuser",
    ],
)
def test_consent_walls_are_blocked(text: str) -> None:
    """A page that wants its cookies accepted first holds no terms."""
    assert judged(page_of(text), text, good()).verdict is Verdict.BLOCKED
    assert judged(page_of(text), "").verdict is Verdict.BLOCKED


# --- log-ins -----------------------------------------------------------------------------------------------------------

LOGINS = {
    "form": ("<title>Log in | Murmur</title><form><input name=user><input type=password></form>", "Log in to Murmur"),
    "no title": ("<title>Murmur</title><form>Email <input type=password> Forgot your password?</form>", ""),
    "words": ("<title>Sign in</title><body>Sign in to continue. Don't have an account? Sign up</body>", ""),
    "german": ("<title>Anmelden - Murmur</title><form><input type=password></form>Passwort vergessen?", ""),
    "french": ("<title>Connexion</title><form><input type=password>Mot de passe oublié ?</form>", ""),
}


@pytest.mark.parametrize("last_good", [None, good()])
@pytest.mark.parametrize("name", LOGINS)
def test_sign_in_pages_are_logins(name: str, last_good: LastGood | None) -> None:
    """A form that wants a name and a password stands where the terms should be."""
    html, text = LOGINS[name]

    assert judged(html, text, last_good).verdict is Verdict.LOGIN


def test_a_redirect_to_a_log_in_is_one() -> None:
    """The address says it, though the page says little."""
    answer = response("<p>Welcome back</p>", final_url="https://murmur.example/login?next=/legal/terms")

    assert verdict([answer], Reading("Welcome back"), terms=terms(), last_good=good()).verdict is Verdict.LOGIN


# --- error pages with status 200 ---------------------------------------------------------------------------------------

ERRORS = {
    "few words": (f"<title>Murmur</title><nav>{'Shop Lamps Tables Chairs ' * 80}</nav><h3>Cette page n'existe pas</h3>",
                  "### Cette page n'existe pas"),
    "404": ("<title>404 | Murmur</title><h1>Page not found</h1><p>Go back home</p>", "# Page not found\n\nGo back home"),
    "title": (f"<title>Page Not Found - Murmur</title><p>{'News from our shop. ' * 60}</p>", "News from our shop. " * 60),
    "unavailable": ("<title>Murmur</title><h1>This page isn't available</h1>The link may be broken.", ""),
    "oops": ("<title>Murmur</title><h1>Oops! Something went wrong</h1><p>Try again later.</p>", "# Oops!"),
    "exists": ("<title>Help</title><p>Sorry, the article you look for doesn't exist. This page no longer exists.</p>", ""),
    "maintenance": ("<title>Maintenance</title><p>We are down for scheduled maintenance.</p>", ""),
    "german": ("<title>Murmur</title><h1>Seite nicht gefunden</h1>", "# Seite nicht gefunden"),
    "spanish": ("<title>Página no encontrada</title><p>Vuelva al inicio</p>", ""),
    "script": ("<title>Murmur</title><p>Application error: a client-side exception has occurred</p>", ""),
}  # fmt: skip


@pytest.mark.parametrize("last_good", [None, good()])
@pytest.mark.parametrize("name", ERRORS)
def test_error_pages_with_a_good_status_are_soft_404s(name: str, last_good: LastGood | None) -> None:
    """A page that says that it is not there is believed, whatever its status."""
    html, text = ERRORS[name]
    observation = judged(html, text, last_good)

    assert observation.verdict is Verdict.SOFT_404
    assert "200" in observation.detail


# --- nothing, or bytes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "\n \n", "# Terms of Service"])
def test_next_to_no_text_is_empty(text: str) -> None:
    """A heading alone is no document."""
    assert judged(page_of(text), text).verdict is Verdict.EMPTY


def test_an_empty_page_that_runs_scripts_wants_a_browser() -> None:
    """The detail says what to set."""
    observation = judged("<div id=root></div><script src=app.js></script>")

    assert observation.verdict is Verdict.EMPTY
    assert "browser" in observation.detail


def test_one_part_without_text_is_empty() -> None:
    """When one of several source documents gives nothing, the whole is not recorded."""
    answers = [response(page_of(TEXT)), response("<p></p>", URL + "2")]
    declared = terms(URL, URL + "2")
    whole = good(TEXT + PART_SEPARATOR + GERMAN, URL, URL + "2")

    for text in (TEXT, TEXT + PART_SEPARATOR):
        for last_good in (None, whole):
            assert verdict(answers, Reading(text), terms=declared, last_good=last_good).verdict is Verdict.EMPTY
    assert verdict(answers, Reading(TEXT), terms=declared, last_good=good(TEXT, URL, URL + "2")).verdict is Verdict.OK


def test_one_part_that_is_an_error_page_spoils_the_whole() -> None:
    """Each source document is judged by itself: a short error page hides behind long terms otherwise."""
    answers = [response(page_of(TEXT)), response("<title>Not found</title><h1>Page not found</h1>", URL + "2")]
    reading = Reading(TEXT + PART_SEPARATOR + "# Page not found")

    assert verdict(answers, reading, terms=terms(URL, URL + "2"), last_good=None).verdict is Verdict.SOFT_404


@pytest.mark.parametrize(
    "reading", [None, Reading("\x00\x01\x02" * 500), Reading("\ufffd" * 500), Reading("ab\ue000\ue001" * 200)]
)
def test_bytes_without_text_are_unreadable(reading: Reading | None) -> None:
    """A scan, a broken file, a page of control characters."""
    observation = verdict([response("x")], reading, terms=terms(), last_good=None)

    assert observation.verdict is Verdict.UNREADABLE


# --- selectors ---------------------------------------------------------------------------------------------------------


def test_a_selector_that_used_to_match_is_missed() -> None:
    """One of several selectors matches no more: part of the text is gone, and no diff would say why."""
    reading = Reading(TEXT[: len(TEXT) * 9 // 10], missing=(".annex",))
    observation = judged(page_of(TEXT), reading=reading, last_good=good())

    assert observation.verdict is Verdict.SELECTOR_LOST
    assert ".annex" in observation.detail


def test_a_selector_that_never_matched_is_not_missed() -> None:
    """Declarations carry selectors for regions and tests that are not there."""
    reading = Reading(TEXT, missing=(".annex",))

    assert judged(page_of(TEXT), reading=reading, last_good=good(missing=(".annex",))).verdict is Verdict.OK
    assert judged(page_of(TEXT), reading=reading).verdict is Verdict.OK


def test_a_selector_whose_text_moved_into_another_is_not_missed() -> None:
    """As long as all that stood stands, the markup is the platform's business."""
    reading = Reading(TEXT + "\n\nAnd one more.", missing=(".annex",))

    assert judged(page_of(TEXT), reading=reading, last_good=good()).verdict is Verdict.OK


def test_a_long_page_of_which_nothing_is_selected_has_lost_its_selectors() -> None:
    """The page is there, our selectors do not fit: that is not an empty page."""
    observation = judged(page_of(TEXT), reading=Reading("", missing=("article",)), last_good=good())

    assert observation.verdict is Verdict.SELECTOR_LOST


# --- language ----------------------------------------------------------------------------------------------------------


def test_another_language_than_before_is_no_change() -> None:
    """A region's version in another language is not an edit of the terms."""
    observation = judged(page_of(GERMAN), GERMAN, good())

    assert observation.verdict is Verdict.WRONG_LANGUAGE
    assert "de" in observation.detail


def test_the_declared_language_counts_from_the_first_look() -> None:
    """Whoever declares a language wants that one."""
    answer = [response(page_of(TEXT))]

    assert verdict(answer, Reading(TEXT), terms=terms(language="de"), last_good=None).verdict is Verdict.WRONG_LANGUAGE
    assert verdict(answer, Reading(TEXT), terms=terms(language="en-GB"), last_good=None).verdict is Verdict.OK


def test_a_wrong_language_tag_of_the_page_is_no_reason() -> None:
    """Many pages declare a language that they are not in; what counts is the text, and that the tag changed."""
    reading = Reading(GERMAN, language="en")
    known = LastGood(len(words(GERMAN)), (URL,), "en")

    assert judged(page_of(GERMAN), reading=reading, last_good=known).verdict is Verdict.OK


def test_without_the_last_text_both_tag_and_text_must_differ() -> None:
    """Where only its language was kept, a page that now declares another and is in it is recognised."""
    reading = Reading(GERMAN, language="de-DE")
    known = LastGood(len(words(GERMAN)), (URL,), "en-US")

    assert judged(page_of(GERMAN), reading=reading, last_good=known).verdict is Verdict.WRONG_LANGUAGE


# --- moved and collapsed -----------------------------------------------------------------------------------------------

OTHER = "\n\n".join(
    f"Our shop sells {number} kinds of lamps, and all of them are made by hand in our workshop." for number in range(60)
)


def moved(final_url: str, text: str, last_good: LastGood | None) -> Verdict:
    answer = response(page_of(text), final_url=final_url)
    return verdict([answer], Reading(text), terms=terms(), last_good=last_good).verdict


@pytest.mark.parametrize("home", ["", "/", "/en/", "/de-DE/", "/index.html"])
def test_a_redirect_to_the_front_page_is_a_move(home: str) -> None:
    """The terms are gone and the visitor is sent home."""
    for host in ("https://murmur.example", "https://other.example"):
        assert moved(host + home, OTHER, good()) is Verdict.MOVED
        assert moved(host + home, OTHER, None) is Verdict.MOVED
        assert moved(host + home, OTHER, LastGood(len(words(OTHER)), (URL,))) is Verdict.MOVED


def test_a_redirect_to_another_text_is_a_move() -> None:
    """Another place with another text is not the document."""
    assert moved("https://murmur.example/shop/lamps", OTHER, good()) is Verdict.MOVED


def test_a_new_address_with_the_same_text_is_ok() -> None:
    """Platforms rename, and move their pages; the text stays, and so does the document."""
    assert moved("https://legal.newname.example/user-agreement", TEXT + "\n\nOne more.", good()) is Verdict.OK


@pytest.mark.parametrize(
    "final_url", ["http://www.murmur.example/legal/terms/", URL + "?lang=en&utm_source=x#top", URL + "/index.html"]
)
def test_an_address_that_differs_in_nothing_that_counts_is_the_same(final_url: str) -> None:
    """Scheme, `www.`, queries, fragments and a slash at the end change for no reason."""
    assert moved(final_url, OTHER, good()) is Verdict.OK


def test_a_redirect_that_was_always_there_is_ok() -> None:
    """The usual final address is not a move, though it is not the one asked."""
    usual = "https://cdn.example/doc"

    assert moved(usual, OTHER, good(TEXT, usual)) is Verdict.OK


def test_a_sharp_loss_is_a_collapse() -> None:
    """Under a third of the last good text, nothing is believed at once."""
    observation = judged(page_of(TEXT), TEXT[: len(TEXT) // 5], good())

    assert observation.verdict is Verdict.COLLAPSED
    assert "weeks it counts as a change" in observation.detail


def test_a_short_document_that_is_cut_down_is_a_change() -> None:
    """A notice of two hundred words that becomes one of sixty was edited; only a heading of it would be a ruin."""
    long, short = "\n\n".join(["# Notice", *SENTENCES]), "\n\n".join(["# Notice", *SENTENCES[:3]])

    assert judged(page_of(short), short, good(long)).verdict is Verdict.OK
    assert judged(page_of(short), "# Notice of Murmur Holdings, the company that runs it all", good(long)).verdict is (
        Verdict.COLLAPSED
    )


def test_a_tracking_snippet_in_noscript_does_not_hide_the_page() -> None:
    """An unclosed frame that only browsers without scripts see swallows nothing."""
    snippet = "<noscript><iframe src='https://tracker.example/ns.html' height=0></noscript>"
    observation = judged(f"{snippet}<main>{TEXT}</main>", reading=Reading("", missing=("article",)), last_good=good())

    assert observation.verdict is Verdict.SELECTOR_LOST
    assert observation == judged(f"<main>{TEXT}</main>", reading=Reading("", missing=("article",)), last_good=good())


def test_details_are_one_line_each() -> None:
    """The operator reads them in lists, mails and feeds."""
    pages = [*CHALLENGES.values(), *LOGINS.values(), *ERRORS.values()]

    for html, text in pages:
        detail = judged(html, text).detail
        assert detail.isprintable()
        assert len(detail) < 300


# --- laws --------------------------------------------------------------------------------------------------------------


@given(st.text(), st.text())
def test_likeness_is_a_share(one: str, other: str) -> None:
    """Between 0 and 1, 1 for a text and itself, the same both ways."""
    assert 0 <= likeness(one, other) <= 1
    assert likeness(one, one) == 1
    assert likeness(one, other) == likeness(other, one)


@given(st.text(), st.text(), st.integers(100, 599))
def test_any_answer_has_a_verdict(html: str, text: str, status: int) -> None:
    """Whatever comes, something can be said; only an ok one carries its text."""
    observation = verdict([response(html, status=status)], Reading(text), terms=terms(), last_good=good())

    assert (observation.reading is not None) == (observation.verdict is Verdict.OK)


@pytest.mark.skipif(not DATA.exists(), reason="the reference data is not here")
def test_real_terms_are_ok() -> None:
    """No reference text of a real document is taken for something else, at first sight or against itself."""
    wrong = {}
    for line in (DATA / "index.jsonl").read_text().splitlines():
        row = json.loads(line)
        text = (DATA / row["reference"]).read_text()
        parts = row["declaration"].get("combine") or [row["declaration"]] * len(row["snapshots"])
        urls = [part.get("fetch") or row["declaration"]["fetch"] for part in parts]
        answers = [
            Response(url, url, 200, (), gzip.decompress((DATA / snapshot["file"]).read_bytes()), NOW)
            for url, snapshot in zip(urls, row["snapshots"], strict=True)
        ]
        for last in (None, good(text, *urls)):
            observation = verdict(answers, Reading(text), terms=terms(*urls), last_good=last)
            if observation.verdict is not Verdict.OK:
                wrong[row["id"]] = observation.detail

    assert wrong == {}
