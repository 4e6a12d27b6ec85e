"""A check, from a real server to a real archive, under a clock that the test turns."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from local_site import Answer, Asked, Site, serving

from tosmon.archive import Archive, LeaseLost, Recorded, Snapshots, Standing
from tosmon.fetch import Fetcher
from tosmon.http import Client, Limits
from tosmon.judge import Rules, load_rules
from tosmon.model import (
    Addressee,
    Alert,
    AlertKind,
    ChangeState,
    Direction,
    Form,
    Outcome,
    Selector,
    SourceDocument,
    Terms,
    TermsKey,
    Verdict,
)
from tosmon.track import World, check, remind

KEY = TermsKey("Marrowick", "Terms of Service")
START = datetime(2025, 3, 3, 9, tzinfo=UTC)
MINUTES_10, HOUR, DAY = timedelta(minutes=10), timedelta(hours=1), timedelta(days=1)
LEASE = timedelta(minutes=15)

CLAUSES = (
    "Marrowick is a market where people sell what they knit, sew and weave. These terms bind everybody who sells here.",
    "Sellers answer for what they offer. Yarn must be what the label says it is, and colours must not run.",
    "You keep the rights to the pictures of your work. We show them on Marrowick as long as your offer stands.",
    "We pay out on Fridays, and keep six per cent of the price for running the market.",
    "Buyers may send goods back within fourteen days, unless they were made to measure.",
    "We close the stalls of sellers who cheat, and tell them why before we do so.",
)
LONG = (
    *CLAUSES,
    *(
        f"Stall {number} is let from the {number}th day of the month on, for {number + 7} crowns a week, to whoever asks."
        for number in range(4, 60)
    ),
)
TRAINING = "We may use the pictures and texts of your offers to train machine learning models."
FEE = CLAUSES[3].replace("six per cent", "nine per cent")
CHANGED = (*CLAUSES[:3], FEE, *CLAUSES[4:])


def page(clauses: Sequence[str] = CLAUSES, *, frame: str = "", terms: str = "terms") -> str:
    body = "".join(f"<p>{clause}</p>" for clause in clauses)
    return (
        f"<!doctype html><html lang=en><head><title>Marrowick: Terms</title></head><body>"
        f"<nav><a href='/'>Market</a>{frame}</nav>"
        f"<div class={terms}><h1>Terms of Service</h1>{body}</div></body></html>"
    )


@pytest.fixture(scope="module")
def rules() -> Rules:
    return load_rules()


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as made:
        yield made


class Market:
    """One document on a real server, looked at by the real pipeline whenever the test says so."""

    def __init__(self, site: Site, folder: Path, rules: Rules, *, confirm_after: timedelta = MINUTES_10) -> None:
        self.site, self.now = site, START
        self.client = Client(Limits(allow_private_addresses=True), clock=lambda: self.now, environment={})
        self.archive = Archive(f"sqlite:///{folder / 'archive.sqlite'}")
        self.world = World(
            archive=self.archive,
            snapshots=Snapshots(folder / "snapshots"),
            fetcher=Fetcher(self.client, robots=False, pause=timedelta(0)),
            rules=rules,
            identity=self.archive.identity("tosmon.example", START.date()),
            addressees=lambda alert: [Addressee("email", "reader@example.org")],
            clock=lambda: self.now,
            confirm_after=confirm_after,
        )
        self.declare(".terms")
        self.show(page())

    def declare(self, *select: Selector, paths: Sequence[str] = ("/terms",)) -> None:
        sources = tuple(SourceDocument(self.site.url(path), select) for path in paths)
        self.terms = Terms(KEY, "Marrowick", Form(sources))
        self.archive.declare([self.terms], self.now)

    def show(self, body: str, status: int = 200, path: str = "/terms") -> None:
        self.site.page(path, body, status)

    def claim(self) -> Standing:
        (standing,) = self.archive.claim([KEY], self.now, LEASE)
        return standing

    def look(self, after: timedelta = HOUR) -> Outcome:
        """Let that much time pass, look, and say what came of it."""
        self.now += after
        self.recorded: Recorded = check(self.claim(), self.terms, self.world)
        return self.archive.browse.checks(KEY, 1)[0].outcome

    def change_to(self, body: str) -> None:
        """Show another page and look at it twice, as it takes to be told."""
        self.show(body)
        self.look()
        self.look(MINUTES_10)

    @property
    def alerts(self) -> list[Alert]:
        return self.archive.browse.alerts("all")[::-1]

    @property
    def told(self) -> list[AlertKind]:
        return [alert.kind for alert in self.alerts]

    @property
    def versions(self) -> int:
        return self.archive.browse.counts()["versions"]

    @property
    def verdict(self) -> Verdict:
        return self.archive.browse.checks(KEY, 1)[0].verdict

    @property
    def text(self) -> str:
        latest = self.archive.browse.recent_versions(self.claimless().terms_id, 1)[0]
        return "".join(clause.lead + clause.text + clause.tail for clause in self.archive.browse.clauses(latest.id))

    def claimless(self) -> Standing:
        standing = self.archive.standing(KEY)
        assert standing is not None
        return standing

    def states(self) -> Counter[ChangeState]:
        return Counter(change.state for change in self.archive.browse.changes(told_only=False, limit=1000))

    def close(self) -> None:
        self.client.close()
        self.archive.close()


@pytest.fixture
def market(site: Site, tmp_path: Path, rules: Rules) -> Iterator[Market]:
    made = Market(site, tmp_path, rules)
    yield made
    made.close()


# --- nothing new ------------------------------------------------------------------------------------------------------


def test_the_first_look_makes_a_version_and_tells_nobody(market: Market) -> None:
    """A first version is kept with its evidence; there is nothing to compare it with."""
    assert market.look() is Outcome.FIRST
    assert (market.versions, market.told) == (1, [])
    assert all(clause in market.text for clause in CLAUSES)
    (kept,) = market.archive.browse.evidence(market.recorded.version_id or 0)
    body = page().encode()
    assert kept["body_sha256"] == [hashlib.sha256(body).hexdigest()]
    assert market.world.snapshots.read(kept["path"])[0].body == body


def test_same_bytes_are_unchanged(market: Market) -> None:
    """Looking again at the same page records a check and nothing else."""
    market.look()

    assert [market.look() for _ in range(3)] == [Outcome.UNCHANGED] * 3
    assert (market.versions, market.archive.browse.counts()["checks"]) == (1, 4)


def test_the_servers_own_validators_are_used(market: Market, site: Site) -> None:
    """A server that gave an ETag is asked with it, and its 304 means unchanged."""
    body = page().encode()

    def answer(asked: Asked) -> Answer:
        if asked.headers["If-None-Match"] == '"one"':
            return Answer(b"", 304, {"ETag": '"one"'})
        return Answer(body, 200, {"Content-Type": "text/html", "ETag": '"one"'})

    site.answers["/terms"] = answer
    market.look()

    assert market.look() is Outcome.UNCHANGED
    assert market.look() is Outcome.UNCHANGED
    assert [asked.headers["If-None-Match"] for asked in site.asked] == [None, '"one"', '"one"']


def test_a_nonce_outside_the_terms_is_unchanged(market: Market) -> None:
    """What extraction does not read may differ in every answer."""
    market.look()
    for number in range(3):
        market.show(
            page(frame=f"<script nonce=n{number}>go({number})</script><a href='/?s={number}'>Sale {number}</a>")
        )
        assert market.look() is Outcome.UNCHANGED
    assert market.versions == 1


def test_typography_alone_is_kept_and_told_to_nobody(market: Market) -> None:
    """Curly quotes, dashes and bold letters make a version that nobody hears of."""
    market.look()
    market.show(page(["<b>Marrowick</b>" + CLAUSES[0][len("Marrowick") :].replace(" ", "\u00a0", 1), *CLAUSES[1:]]))

    assert market.look() in (Outcome.QUIET, Outcome.UNCHANGED)
    assert market.look(MINUTES_10) is Outcome.UNCHANGED
    assert market.told == []


# --- a change ---------------------------------------------------------------------------------------------------------


def test_a_change_is_told_once_when_a_second_look_confirms_it(market: Market) -> None:
    """First seen, it waits; ten minutes later it still stands, and people are told; after that there is silence."""
    market.look()
    market.show(page(CHANGED))

    assert market.look() is Outcome.CHANGED
    assert market.told == []
    assert market.claimless().due_at == market.now + MINUTES_10
    assert market.look(MINUTES_10) is Outcome.UNCHANGED
    assert market.told == [AlertKind.CHANGE]
    for _ in range(3):
        market.look()
    assert market.told == [AlertKind.CHANGE]
    assert market.states() == {ChangeState.TOLD: 1}


def test_an_alert_bears_the_time_at_which_the_change_was_seen(market: Market) -> None:
    """Not that of the second look, nor that of a rendering."""
    market.look()
    market.show(page(CHANGED))
    market.look()
    seen = market.now
    market.look(MINUTES_10)

    (alert,) = market.alerts
    assert alert.at == seen
    assert "nine" in " ".join(edit.text for passage in alert.passages for edit in passage.edits)
    assert alert.evidence == (hashlib.sha256(page(CHANGED).encode()).hexdigest(),)


def test_each_alert_leaves_one_notification_for_each_reader(market: Market) -> None:
    """The outbox gets it in the same transaction; its Message-ID is fixed from then on."""
    market.look()
    market.change_to(page(CHANGED))

    notification = market.archive.outbox.claim("email", market.now, LEASE)
    assert notification is not None and market.archive.outbox.claim("email", market.now, LEASE) is None
    assert (notification.recipient, notification.alert.uid) == ("reader@example.org", market.alerts[0].uid)
    assert notification.message_id.startswith("<") and notification.message_id.endswith("@tosmon.example>")


def test_a_change_that_is_gone_at_the_second_look_is_told_to_nobody(market: Market) -> None:
    """A slip of a few minutes stays in the archive, marked as gone."""
    market.look()
    market.show(page(CHANGED))
    market.look()
    market.show(page())
    market.look(MINUTES_10)
    market.look()

    assert market.told == []
    assert market.states()[ChangeState.GONE] == 1
    assert market.states()[ChangeState.TOLD] == 0
    assert market.versions == 3


def test_a_text_that_nobody_was_told_of_is_news_when_it_comes_for_good(market: Market) -> None:
    """Gone at its second look, the same change is told when it comes back and stays."""
    market.look()
    market.show(page(CHANGED))
    market.look()
    market.show(page())
    market.look(MINUTES_10)
    market.look(DAY)
    market.change_to(page(CHANGED))

    assert market.told == [AlertKind.CHANGE]


def test_a_change_that_grows_before_it_is_confirmed_is_told_whole(market: Market) -> None:
    """The second look finds another text: what both brought is told in one alert, against what people knew."""
    market.look()
    market.show(page(CHANGED))
    market.look()
    market.show(page((*CHANGED, TRAINING)))
    market.look(MINUTES_10)
    market.look(MINUTES_10)

    (alert,) = market.alerts
    words = " ".join(edit.text for passage in alert.passages for edit in passage.edits)
    assert "nine" in words and "train machine learning models" in words


def test_without_a_second_look_people_are_told_at_first_sight(site: Site, tmp_path: Path, rules: Rules) -> None:
    """`confirm_after: 0s` is for those who would rather be told too often."""
    market = Market(site, tmp_path, rules, confirm_after=timedelta(0))
    market.look()
    market.show(page(CHANGED))
    market.look()

    assert market.told == [AlertKind.CHANGE]
    market.close()


def test_a_training_licence_is_flagged_worse_with_its_exact_words(market: Market) -> None:
    """The flag quotes the clause that came."""
    market.look()
    market.change_to(page((*CLAUSES[:3], TRAINING, *CLAUSES[3:])))

    (alert,) = market.alerts
    (flag,) = [flag for flag in alert.flags if flag.topic == "ai_training"]
    assert flag.direction is Direction.WORSE
    assert flag.after[0].text in TRAINING


# --- flaps and returns --------------------------------------------------------------------------------------------------


def test_two_variants_in_turn_are_told_once(market: Market) -> None:
    """An experiment that shows now one text, now the other, is one piece of news."""
    market.look()
    for _ in range(4):
        market.change_to(page(CHANGED))
        market.change_to(page())

    assert market.told == [AlertKind.CHANGE]


def test_three_variants_that_recombine_are_told_once_each(market: Market) -> None:
    """Two experiments at a time make four texts out of two pieces of news."""
    other = [*CLAUSES[:4], CLAUSES[4].replace("fourteen", "thirty"), CLAUSES[5]]
    both = [*other[:3], FEE, *other[4:]]
    market.look()
    for clauses in (CHANGED, CLAUSES, other, CLAUSES, both, other, CHANGED, both, CLAUSES):
        market.change_to(page(clauses))

    assert market.told == [AlertKind.CHANGE, AlertKind.CHANGE]


def test_what_is_taken_back_for_days_is_told_as_withdrawn(market: Market) -> None:
    """Three days after the old text came back, people hear that the change was taken back; once."""
    market.look()
    market.change_to(page(CHANGED))
    market.look(DAY)
    market.show(page())
    for _ in range(6):
        market.look(DAY)

    change, withdrawn = market.alerts
    assert (change.kind, withdrawn.kind) == (AlertKind.CHANGE, AlertKind.WITHDRAWN)
    assert withdrawn.corrects == change.uid
    assert market.states()[ChangeState.WITHDRAWN] == 1


def test_what_comes_back_after_a_withdrawal_is_told_as_a_correction(market: Market) -> None:
    """Each distinct text is told once at most: when it stands again for days, the withdrawal is corrected; once."""
    market.look()
    market.change_to(page(CHANGED))
    for body in (page(), page(CHANGED), page(), page(CHANGED)):
        market.show(body)
        for _ in range(5):
            market.look(DAY)

    assert market.told == [AlertKind.CHANGE, AlertKind.WITHDRAWN, AlertKind.CORRECTION]
    assert market.alerts[2].corrects == market.alerts[0].uid


# --- what cannot be read ------------------------------------------------------------------------------------------------

CHALLENGE = (
    "<!doctype html><html><head><title>Just a moment...</title></head><body><h1>Checking your browser</h1>"
    "<p>Verify you are human by completing the action below. Enable JavaScript and cookies to continue.</p></body></html>"
)
SIGN_IN = (
    "<!doctype html><html><head><title>Log in</title></head><body><form>"
    "<h1>Log in to Marrowick</h1><p>Please log in to go on.</p>"
    "<input type=email name=email><input type=password name=password><button>Log in</button></form></body></html>"
)
BROKEN: dict[str, tuple[str, int]] = {
    "challenge with 200": (CHALLENGE, 200),
    "challenge with 403": (CHALLENGE, 403),
    "too many requests": ("<h1>Slow down</h1>", 429),
    "server error": ("<h1>Oops</h1>", 500),
    "gone": ("<h1>Not found</h1>", 404),
    "log-in": (SIGN_IN, 200),
    "empty": ("<!doctype html><html><body><div class=terms></div></body></html>", 200),
    "nothing at all": ("", 200),
    "selector lost": ("<!doctype html><html><body><p>Hello.</p></body></html>", 200),
    "collapsed": (page(CLAUSES), 200),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_not_the_document_opens_an_incident_and_makes_no_version(kind: str, market: Market) -> None:
    """People never hear of a broken page as a change; the operator sees why, and since when all was well."""
    body, status = BROKEN[kind]
    market.show(page(LONG))
    market.look()
    whole_at = market.now
    market.show(body, status)

    assert market.look() is Outcome.FAILED
    assert market.look() is Outcome.FAILED
    assert market.verdict is not Verdict.OK
    assert (market.versions, market.told, market.states()) == (1, [], Counter())
    (incident,) = market.archive.browse.incidents()
    assert (incident.verdict, incident.looks, incident.last_whole_at) == (market.verdict, 2, whole_at)
    assert incident.detail
    assert market.archive.browse.counts()["snapshots"] == 2  # the version's, and the evidence of the failure, once


@pytest.mark.parametrize("kind", BROKEN)
def test_recovery_closes_the_incident_and_is_no_change(kind: str, market: Market) -> None:
    """The same text after an incident is unchanged, and nobody is told."""
    body, status = BROKEN[kind]
    market.show(page(LONG))
    market.look()
    market.show(body, status)
    market.look()
    market.show(page(LONG))

    assert market.look() is Outcome.UNCHANGED
    assert market.recorded.incident_closed
    assert market.archive.browse.incidents() == []
    assert (market.versions, market.told) == (1, [])


def test_incidents_are_told_as_they_were_known_when_they_opened_and_closed(market: Market) -> None:
    """The operator's log does not change when the trouble turns into another, nor when it is over."""
    market.show(page(LONG))
    market.look()
    whole_at = market.now
    market.show(CHALLENGE, 403)
    market.look()
    (opened,) = market.archive.browse.incident_events()
    market.show("<h1>Not found</h1>", 404)
    market.look()
    market.show(page(LONG))
    market.look()

    closed, still = market.archive.browse.incident_events()
    assert still == opened
    assert (opened.verdict, opened.closed, opened.last_whole_at) == (Verdict.BLOCKED, False, whole_at)
    assert "403" in opened.detail or "challenge" in opened.detail
    assert (closed.verdict, closed.closed, closed.at, closed.looks) == (Verdict.BLOCKED, True, market.now, 2)
    assert market.archive.browse.last_incident_event() == (1, 1)


def test_an_unreachable_server_opens_an_incident(market: Market, site: Site) -> None:
    """No answer at all is said in words, and looked into again sooner or later."""
    market.look()
    market.terms = Terms(KEY, "Marrowick", Form((SourceDocument("http://127.0.0.1:9/terms", (".terms",)),)))

    assert market.look() is Outcome.FAILED
    assert market.verdict is Verdict.UNREACHABLE
    assert market.now < market.claimless().due_at <= market.now + 6 * HOUR


def test_a_server_that_asks_for_patience_gets_it(market: Market, site: Site) -> None:
    """`Retry-After` puts off the next look."""
    market.look()
    site.page("/terms", "<h1>Slow down</h1>", 429, Retry_After="36000")
    market.look()

    assert market.claimless().due_at >= market.now + 10 * HOUR


def test_failures_are_looked_into_less_and_less(market: Market) -> None:
    """Each failure in a row waits longer, up to six hours."""
    market.look()
    market.show("<h1>Oops</h1>", 500)
    waits = []
    for _ in range(8):
        market.look()
        waits.append(market.claimless().due_at - market.now)

    assert waits == sorted(waits)
    assert waits[0] == HOUR and waits[-1] == 6 * HOUR


def test_a_change_behind_an_incident_is_told_after_it(market: Market) -> None:
    """What changed while nothing could be read is news when it can be read again."""
    market.look()
    market.show(CHALLENGE, 403)
    market.look()
    market.change_to(page(CHANGED))

    assert market.told == [AlertKind.CHANGE]


def test_a_pending_change_survives_an_incident(market: Market) -> None:
    """A failed second look neither confirms nor drops the change: the next whole look does."""
    market.look()
    market.show(page(CHANGED))
    market.look()
    market.show(CHALLENGE, 403)
    market.look(MINUTES_10)
    assert market.told == []

    market.show(page(CHANGED))
    market.look()
    assert market.told == [AlertKind.CHANGE]


def test_a_short_text_that_stands_for_weeks_is_a_change_after_all(market: Market) -> None:
    """A collapse is not believed at once; when it has been there for weeks, the platform did cut its terms."""
    cut_down = (
        "These terms are an agreement between you and Marrowick. By using our services you agree to these terms.",
        "You may use the services if the applicable law lets you. You are responsible for your content and your account.",
        "We may suspend or terminate your account if you breach these terms, and we are not liable for your losses.",
        "We may change these terms at any time. Any dispute is governed by the law of the valley, without regard to others.",
        "Your personal data is processed under our privacy policy. Our liability is limited to what you paid us.",
        *LONG[:20],
    )
    market.show(page((*cut_down, *(clause.replace("Stall", "Cart") for clause in LONG * 2))))
    market.look()
    market.show(page(cut_down))
    outcomes = [market.look(DAY) for _ in range(18)]

    assert outcomes[:7] == [Outcome.FAILED] * 7
    assert market.told == [AlertKind.CHANGE]
    assert market.archive.browse.incidents() == []


def test_a_short_text_of_another_page_never_becomes_a_change(market: Market) -> None:
    """A summary or a list of links that holds none of the sentences is no document cut down, however long it stands."""
    summary = (
        "These terms are an agreement between you and Marrowick. By using our services you agree to these terms.",
        "You may use the services if the applicable law lets you. You are responsible for your content and your account.",
        "We may suspend or terminate your account if you breach these terms, and we are not liable for your losses.",
        "We may change these terms at any time. Any dispute is governed by the law of the valley, without regard to others.",
    )
    market.show(page(LONG * 3))
    market.look()
    market.show(page(summary * 3))
    for _ in range(25):
        market.look(DAY)

    assert market.verdict is Verdict.COLLAPSED
    assert market.told == []


def test_a_page_back_in_its_language_is_compared_at_once(market: Market) -> None:
    """After weeks in another language, the text in the first one is held against that one, without another delay."""
    french = (
        "Ces conditions sont un contrat entre vous et Marrowick. En utilisant nos services, vous acceptez ces conditions.",
        "Vous êtes responsable de votre contenu et de votre compte, et nous ne sommes pas responsables de vos pertes.",
        "Nous pouvons suspendre ou résilier votre compte si vous ne respectez pas les lois et les droits des tiers.",
        "Vos données personnelles sont traitées dans le respect de notre politique de confidentialité et de la loi.",
        "Nous pouvons modifier ces conditions. Le droit de la vallée est applicable aux litiges entre vous et nous.",
    )
    market.look()
    market.show(page([f"{clause} Article {number}." for number in range(4) for clause in french]))
    outcomes = [market.look(DAY) for _ in range(8)]
    assert (outcomes[0], outcomes[-1]) == (Outcome.FAILED, Outcome.UNCHANGED)

    market.show(page(CHANGED))
    assert market.look() is Outcome.CHANGED
    market.look(MINUTES_10)
    assert market.told == [AlertKind.CHANGE]
    assert "six → nine per cent" in market.alerts[0].headline


def test_one_of_several_pages_failing_is_an_incident_of_the_whole(market: Market) -> None:
    """A document of three pages is not two pages shorter because one answers with an error."""
    parts = {"/a": CLAUSES[:2], "/b": CLAUSES[2:4], "/c": CLAUSES[4:]}
    for path, clauses in parts.items():
        market.show(page(clauses), path=path)
    market.declare(".terms", paths=tuple(parts))
    assert market.look() is Outcome.FIRST
    assert market.text.count("\n\n- - -\n\n") == 2

    market.show("<h1>Oops</h1>", 503, path="/b")
    assert market.look() is Outcome.FAILED
    market.show(page(parts["/b"]), path="/b")
    assert market.look() is Outcome.UNCHANGED
    assert (market.versions, market.told) == (1, [])


# --- our own doing ------------------------------------------------------------------------------------------------------


def test_other_selectors_are_a_technical_upgrade_and_no_change(market: Market) -> None:
    """What differs because tosmon reads differently is recorded as such, from the old page, and told to nobody."""
    body = page().replace("<nav>", "<div class=note><p>Sellers from abroad read the annex, too.</p></div><nav>")
    market.show(body)
    market.look()
    market.declare(".terms", ".note")

    assert market.look() is Outcome.TECHNICAL
    assert "annex" in market.text
    assert (market.versions, market.told) == (2, [])
    latest = market.archive.browse.recent_versions(market.claimless().terms_id, 1)[0]
    assert latest.technical
    assert market.look() is Outcome.UNCHANGED


def test_a_change_beside_other_selectors_is_told_alone(market: Market) -> None:
    """Selectors and terms changed on the same day: people hear of the terms."""
    body = page().replace("<nav>", "<div class=note><p>Sellers from abroad read the annex, too.</p></div><nav>")
    market.show(body)
    market.look()
    market.declare(".terms", ".note")
    market.change_to(body.replace("six per cent", "nine per cent"))

    (alert,) = market.alerts
    words = " ".join(edit.text for passage in alert.passages for edit in passage.edits)
    assert "nine" in words and "annex" not in words


def test_a_redesign_mended_by_new_selectors_is_no_change(market: Market) -> None:
    """The old selector finds nothing; read without it or by a new one, the text is the same, and nobody is told."""
    market.look()
    market.show(page(terms="legal-v2"))
    market.look()
    market.declare(".legal-v2")

    market.look()
    assert market.verdict is Verdict.OK
    market.look(MINUTES_10)
    assert market.told == []


# --- announced and in force -----------------------------------------------------------------------------------------------


def test_an_announcement_is_told_at_once_and_again_on_its_day(market: Market) -> None:
    """One change, two moments: the alert names the day, and on that day a reminder comes; once."""
    market.look()
    market.change_to(page((*CLAUSES, TRAINING, "These terms will go into effect on 14 April 2025.")))
    (alert,) = market.alerts
    assert alert.effective_date == date(2025, 4, 14)

    def remind_on(day: date) -> list[AlertKind]:
        market.now = datetime(day.year, day.month, day.day, 8, tzinfo=UTC)
        return [told.kind for told in remind([market.terms], market.world, day)]

    assert remind_on(date(2025, 4, 13)) == []
    assert remind_on(date(2025, 4, 14)) == [AlertKind.REMINDER]
    assert remind_on(date(2025, 4, 14)) == remind_on(date(2025, 4, 15)) == []
    reminder = market.alerts[-1]
    assert (reminder.corrects, reminder.change_id) == (alert.uid, alert.change_id)
    assert market.archive.outbox.counts()["pending"] == 2


def test_a_missed_day_is_made_up_for(market: Market) -> None:
    """A monitor that slept on the day reminds when it wakes."""
    market.look()
    market.change_to(page((*CLAUSES, TRAINING, "These terms will go into effect on 14 April 2025.")))
    market.now += timedelta(days=60)

    assert [told.kind for told in remind([market.terms], market.world, market.now.date())] == [AlertKind.REMINDER]


def test_nobody_is_reminded_of_what_was_withdrawn(market: Market) -> None:
    """A day that will not come needs no reminder."""
    market.look()
    market.change_to(page((*CLAUSES, TRAINING, "These terms will go into effect on 14 April 2025.")))
    market.show(page())
    for _ in range(5):
        market.look(DAY)
    assert market.told == [AlertKind.CHANGE, AlertKind.WITHDRAWN]

    assert remind([market.terms], market.world, date(2025, 4, 14)) == []


def test_terms_that_apply_already_need_no_reminder(market: Market) -> None:
    """A day that was past when people were told is not told twice."""
    market.look()
    market.change_to(page((*CLAUSES, TRAINING, "These terms went into effect on 1 March 2025.")))

    assert remind([market.terms], market.world, date(2025, 4, 14)) == []


# --- two at once ----------------------------------------------------------------------------------------------------------


def test_a_document_is_looked_at_by_one_at_a_time(market: Market) -> None:
    """Who claims a document has it until it is recorded, released, or the lease runs out."""
    standing = market.claim()
    assert market.archive.claim([KEY], market.now, LEASE) == []
    market.archive.release(standing)
    assert len(market.archive.claim([KEY], market.now, LEASE)) == 1
    assert len(market.archive.claim([KEY], market.now + LEASE, LEASE)) == 1


def test_a_look_that_lost_its_lease_records_nothing(market: Market) -> None:
    """A process that slept through its lease finds that another one did its work, and drops its own."""
    slow = market.claim()
    market.now += LEASE
    market.look(timedelta(0))
    with pytest.raises(LeaseLost):
        check(slow, market.terms, market.world)

    assert (market.versions, market.archive.browse.counts()["checks"]) == (1, 1)


def test_two_archives_of_one_file_record_each_change_once(market: Market, tmp_path: Path, rules: Rules) -> None:
    """Two monitors on one database share the work: each change is one version, one alert, one notification."""
    market.look()
    market.show(page(CHANGED))
    results: list[int] = []

    def other() -> Archive:
        return Archive(f"sqlite:///{tmp_path / 'archive.sqlite'}")

    def look(archive: Archive, start: threading.Barrier) -> None:
        world = World(
            archive, market.world.snapshots, market.world.fetcher, rules, market.world.identity,
            market.world.addressees, market.world.clock,
        )  # fmt: skip
        start.wait()
        claimed = archive.claim([KEY], market.now, LEASE)
        results.append(len(claimed))
        for standing in claimed:
            check(standing, market.terms, world)

    archives = [other(), other()]
    for step in (HOUR, MINUTES_10, HOUR):
        market.now += step
        barrier = threading.Barrier(2)
        threads = [threading.Thread(target=look, args=(archive, barrier)) for archive in archives]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for archive in archives:
        archive.close()

    assert len(results) == 6 and sum(results) >= 3
    assert (market.versions, market.told) == (2, [AlertKind.CHANGE])
    assert market.archive.outbox.counts() == {"pending": 1}


# --- the record -----------------------------------------------------------------------------------------------------------


def test_every_look_leaves_a_check(market: Market) -> None:
    """Unchanged and failed looks are recorded like any other, with their status."""
    market.look()
    market.look()
    market.show("<h1>Oops</h1>", 500)
    market.look()

    found = [(one.outcome, one.verdict, one.status) for one in market.archive.browse.checks(KEY)][::-1]
    assert found == [
        (Outcome.FIRST, Verdict.OK, 200),
        (Outcome.UNCHANGED, Verdict.OK, 200),
        (Outcome.FAILED, market.verdict, 500),
    ]


def test_versions_rebuild_byte_for_byte(market: Market) -> None:
    """Every version's clauses give back the text whose digest was recorded."""
    market.look()
    for clauses in (CHANGED, (*CHANGED, TRAINING), CLAUSES[::-1], CLAUSES):
        market.change_to(page(clauses))

    versions = market.archive.browse.versions(KEY)
    assert len(versions) >= 4
    for version in versions:
        text = "".join(c.lead + c.text + c.tail for c in market.archive.browse.clauses(version.id))
        assert hashlib.sha256(text.encode()).digest() == version.digest


# --- announced beside the terms in force ---------------------------------------------------------------------------------

CASE = Path(__file__).parents[3] / "shared" / "data" / "cases" / "x-2024"


def show_text(market: Market, text: str) -> None:
    market.site.page("/terms", text, Content_Type="text/markdown; charset=utf-8")


def follow(market: Market, texts: Sequence[tuple[datetime, str]], until: datetime) -> None:
    """Show each text from its time on, looking twice at each and once a day between them."""
    market.declare()
    for number, (since, text) in enumerate(texts):
        market.now = since
        show_text(market, text)
        market.look(HOUR)
        market.look(MINUTES_10)
        remind([market.terms], market.world, market.now.date())
        end = texts[number + 1][0] if number + 1 < len(texts) else until
        while market.now + DAY < end:
            market.look(DAY)
            remind([market.terms], market.world, market.now.date())


def test_terms_announced_beside_those_in_force_are_one_change(market: Market) -> None:
    """A page that holds the next terms beside the present ones is told at announcement, and reminded of on the day.

    When the old text is taken down, nothing new is told: every clause that goes has its successor in what stays.
    """
    now = "\n\n".join(("# Terms", *CLAUSES, "Effective: 1 January 2024."))
    new = "\n\n".join(("# Terms", *CLAUSES[:3], TRAINING, *CLAUSES[3:], "Effective: 14 April 2025."))
    both = now + "\n\n# The terms that take effect on 14 April 2025\n\n" + new

    follow(
        market,
        [(START, now), (START + 10 * DAY, both), (datetime(2025, 4, 14, 8, tzinfo=UTC), new)],
        datetime(2025, 4, 30, tzinfo=UTC),
    )

    assert market.told == [AlertKind.CHANGE, AlertKind.REMINDER]
    assert market.alerts[0].effective_date == date(2025, 4, 14)


@pytest.mark.skipif(not CASE.is_dir(), reason="the recorded case lies beside the repository, where there is one")
def test_the_recorded_case_is_one_alert_and_one_reminder(market: Market) -> None:
    """The announcement of October 2024 is told in October, once; on 15 November comes the reminder, and nothing else."""
    texts = [(CASE / f"{name}.md").read_text(encoding="utf-8") for name in ("before", "2024-10-21", "2024-11-15")]
    times = [datetime(2024, 10, 1, tzinfo=UTC), datetime(2024, 10, 21, tzinfo=UTC), datetime(2024, 11, 15, tzinfo=UTC)]

    follow(market, list(zip(times, texts, strict=True)), datetime(2024, 11, 25, tzinfo=UTC))

    assert market.told == [AlertKind.CHANGE, AlertKind.REMINDER]
    announced, reminder = market.alerts
    assert announced.effective_date == date(2024, 11, 15)
    assert {flag.topic: flag.direction for flag in announced.flags}["ai_training"] is Direction.WORSE
    assert reminder.at.date() == date(2024, 11, 15)


# --- looking more often -------------------------------------------------------------------------------------------


def test_told_document_is_looked_at_twice_as_often_for_days(market: Market) -> None:
    """Platforms mend what they announced in the first days: until then a document is due after half its interval."""
    market.look()
    market.change_to(page(CHANGED))

    def wait() -> timedelta:
        market.look(timedelta(hours=1))
        return market.claimless().due_at - market.now

    assert max(wait() for _ in range(8)) <= market.terms.interval / 2 + market.terms.interval / 10
    market.now += timedelta(days=4)
    assert max(wait() for _ in range(8)) > market.terms.interval / 2 + market.terms.interval / 10


def test_announced_day_is_looked_at_closely_when_it_comes(market: Market) -> None:
    """Around the day that a change announced, the document is due after half its interval again."""
    market.look()
    day = START.date() + timedelta(days=40)
    effective = f"These terms apply from {day:%B} {day.day}, {day.year}."
    market.change_to(page((*CHANGED, effective)))
    assert market.claimless().announced == day

    market.now += timedelta(days=20)
    market.look()
    far = market.claimless()
    market.now += timedelta(days=19)
    waits = []
    for _ in range(8):
        market.look()
        waits.append(market.claimless().due_at - market.now)

    assert far.told_at is not None and market.now - far.told_at > timedelta(days=2)
    assert max(waits) <= market.terms.interval / 2 + market.terms.interval / 10
