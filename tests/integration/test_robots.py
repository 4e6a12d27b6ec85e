"""What robots.txt lets us fetch: its rules by RFC 9309, and how they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_site import Answer, Site, serving

from tosmon.errors import FetchProblem
from tosmon.fetch import Fetched, Fetcher
from tosmon.fetch.robots import EVERYTHING, Known, KnownRules, Rules, product, read_rules
from tosmon.http import Client, Limits
from tosmon.model import Form, SourceDocument

NOW = datetime(2026, 5, 3, 12, tzinfo=UTC)


def rules(text: str, agent: str = "tosmon") -> Rules:
    return read_rules(text.encode(), agent)


# --- the rules -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/", "/anything", True),
        ("/fish", "/fish.html", True),
        ("/fish", "/Fish", False),
        ("/fish*", "/fishheads/x.html?id=1", True),
        ("/fish/", "/fish", False),
        ("/*.php", "/folder/filename.php?x", True),
        ("/*.php$", "/filename.php", True),
        ("/*.php$", "/filename.php?x", False),
        ("/*.php$", "/filename.php.php", True),
        ("/fish*.php", "/fishheads/catfish.php?x", True),
        ("/a*b*c$", "/a-b-c", True),
        ("/a*b*c$", "/a-c-b", False),
        ("/a*a$", "/a", False),
        ("/legal?x=", "/legal?x=1", True),
        ("/%7Eme", "/~me", True),
        ("/~me", "/%7eme", True),
        ("/a%2fb", "/a%2Fb", True),
        ("/a%2fb", "/a/b", False),
        ("/über", "/%C3%BCber", True),
        ("*terms", "/my/terms", True),
        ("$", "/", False),
    ],
)
def test_patterns_match_as_the_standard_says(pattern: str, path: str, matches: bool) -> None:
    """`*` is anything, `$` the end, all else the beginning of the path, escapes written either way."""
    assert rules(f"User-agent: *\nDisallow: {pattern}").allow(path) is not matches


def test_the_longest_rule_wins_and_of_two_equal_ones_the_friendly_one() -> None:
    """Specific rules go before general ones, in whatever order they stand."""
    found = rules("User-agent: *\nAllow: /legal/terms\nDisallow: /legal\nDisallow: /same\nAllow: /same")

    assert [found.allow(path) for path in ("/legal/terms", "/legal/x", "/same")] == [True, False, True]


def test_our_own_group_goes_before_that_for_all() -> None:
    """A group that names us is the only one that counts; several of them count together."""
    text = """
        User-agent: *
        Disallow: /

        User-Agent: other
        USER-AGENT: TosMon/2.0
        Disallow: /private # not even us

        sitemap: /map.xml
        User-agent: tosmon
        Disallow: /search
    """

    assert [rules(text).allow(path) for path in ("/", "/private", "/search")] == [True, False, False]
    assert not rules(text, "somebody").allow("/")


@pytest.mark.parametrize(
    "text", ["", "<html><h1>None</h1></html>", "Disallow: /", "User-agent: *\nDisallow:", "\x00\x01"]
)
def test_what_says_nothing_allows_everything(text: str) -> None:
    """An empty file, an error page, rules of nobody and empty rules forbid nothing."""
    assert rules(text).allow("/terms")


def test_robots_txt_itself_is_always_allowed() -> None:
    """A site that forbids everything may still be asked what it forbids."""
    assert rules("User-agent: *\nDisallow: /").allow("/robots.txt")


def test_byte_order_mark_and_old_line_ends_are_read() -> None:
    """Files written on any machine are understood."""
    assert not read_rules(b"\xef\xbb\xbfUser-agent: *\rDisallow: /\r", "tosmon").allow("/x")


def test_only_the_first_part_of_a_huge_file_counts() -> None:
    """Half a megabyte is read, no more."""
    assert rules("User-agent: *\n" + "#" * 600_000 + "\nDisallow: /").allow("/x")


@given(st.text(), st.text())
def test_any_file_and_any_path_give_an_answer(text: str, path: str) -> None:
    """Strangers write both."""
    assert isinstance(rules("User-agent: *\nDisallow: " + text).allow("/" + path), bool)


def test_hostile_patterns_are_quick() -> None:
    """No pattern makes matching slow: there is nothing to backtrack."""
    found = rules("User-agent: *\nDisallow: /" + "*a" * 5000 + "$")

    assert found.allow("/" + "a" * 4999)


def test_our_name_is_the_one_that_the_user_agent_opens_with() -> None:
    """An operator with another User-Agent goes by that name."""
    assert (product("tosmon/0.1 (+https://x)"), product("TermsBot/2"), product("")) == ("tosmon", "termsbot", "tosmon")


def test_what_is_remembered_stays_within_its_budget() -> None:
    """Ten thousand hosts with long files cost no more memory than allowed; those asked last stay."""
    known = KnownRules(budget=100_000)
    for number in range(10_000):
        known.put(f"https://{number}.example", Known(Rules("-/x" * 300), 0.0, 1.0))

    assert known.get("https://0.example") is None
    assert known.get("https://9999.example") is not None
    assert len(known) < 100


def test_what_allows_everything_costs_next_to_nothing() -> None:
    """Most sites forbid little: tens of thousands of them are remembered."""
    known = KnownRules()
    for number in range(15_000):
        known.put(f"https://{number}.example", Known(EVERYTHING, 0.0, 1.0))

    assert len(known) == 15_000


# --- asking for them -------------------------------------------------------------------------------------------------


class Clock:
    """Monotonic time that a test turns."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        site.page("/terms", "<p>Terms</p>")
        site.page("/privacy", "<p>Privacy</p>")
        yield site


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fetcher(clock: Clock) -> Fetcher:
    client = Client(Limits(allow_private_addresses=True), clock=lambda: NOW, environment={})
    return Fetcher(client, pause=timedelta(0), monotonic=clock)


def fetch(fetcher: Fetcher, url: str) -> Fetched:
    return fetcher.fetch(Form((SourceDocument(url),)))


def test_a_forbidden_document_is_not_fetched(site: Site, fetcher: Fetcher) -> None:
    """What robots.txt forbids is not asked for; the problem says what the operator can do."""
    site.page("/robots.txt", "User-agent: *\nDisallow: /terms")

    fetched = fetch(fetcher, site.url("/terms"))

    assert fetched.problem is not None
    assert fetched.problem.problem is FetchProblem.FORBIDDEN_BY_ROBOTS
    assert "politeness.robots" in str(fetched.problem)
    assert site.paths() == ["/robots.txt"]
    assert fetch(fetcher, site.url("/privacy")).problem is None


def test_robots_txt_is_asked_for_once_a_day(site: Site, fetcher: Fetcher, clock: Clock) -> None:
    """All documents of a host share one look at its robots.txt, for a day."""
    for hours in (0, 1, 23, 25):
        clock.now = hours * 3600
        fetch(fetcher, site.url("/terms"))
        fetch(fetcher, site.url("/privacy"))

    assert site.paths().count("/robots.txt") == 2


def test_a_missing_robots_txt_allows_everything(site: Site, fetcher: Fetcher) -> None:
    """404, and every other 4xx, means that there is none."""
    assert fetch(fetcher, site.url("/terms")).responses[0].status == 200


def test_a_broken_robots_txt_forbids_for_the_time_being(site: Site, fetcher: Fetcher) -> None:
    """While a server answers 5xx nobody knows what it forbids: we look again later, and say why."""
    site.page("/robots.txt", "x", 503, Retry_After="90")

    fetched = fetch(fetcher, site.url("/terms"))

    assert fetched.problem is not None
    assert (fetched.problem.transient, fetched.retry_after) == (True, timedelta(seconds=90))
    assert site.paths() == ["/robots.txt"]


def test_a_robots_txt_that_breaks_counts_as_it_was(site: Site, fetcher: Fetcher, clock: Clock) -> None:
    """Rules known from before hold on while the server cannot give new ones."""
    site.page("/robots.txt", "User-agent: *\nDisallow: /privacy")
    fetch(fetcher, site.url("/terms"))
    site.page("/robots.txt", "x", 500)
    clock.now = 2 * 86400

    assert fetch(fetcher, site.url("/terms")).problem is None
    assert fetch(fetcher, site.url("/privacy")).problem is not None


def test_robots_txt_of_the_host_that_a_redirect_leads_to_counts(site: Site, fetcher: Fetcher) -> None:
    """A redirect to a forbidden place is not followed."""
    with serving() as other:
        other.page("/robots.txt", "User-agent: *\nDisallow: /")
        other.page("/terms", "there")
        site.redirect("/terms", other.url("/terms"))

        fetched = fetch(fetcher, site.url("/terms"))

    assert fetched.problem is not None
    assert fetched.problem.problem is FetchProblem.FORBIDDEN_BY_ROBOTS
    assert other.paths() == ["/robots.txt"]


def test_a_robots_txt_that_redirects_for_ever_counts_as_none(site: Site, fetcher: Fetcher) -> None:
    """What leads nowhere forbids nothing."""
    site.redirect("/robots.txt", "/robots.txt")

    assert fetch(fetcher, site.url("/terms")).problem is None


def test_a_host_that_cannot_be_reached_is_just_that(fetcher: Fetcher) -> None:
    """No connection for robots.txt is no connection for the document."""
    fetched = fetch(fetcher, "http://127.0.0.1:1/terms")

    assert fetched.problem is not None
    assert fetched.problem.problem is FetchProblem.CONNECTION


def test_robots_txt_can_be_left_alone(site: Site) -> None:
    """An operator with the platform's leave may switch it off."""
    site.page("/robots.txt", "User-agent: *\nDisallow: /")
    client = Client(Limits(allow_private_addresses=True), clock=lambda: NOW, environment={})

    assert fetch(Fetcher(client, robots=False, pause=timedelta(0)), site.url("/terms")).problem is None
    assert site.paths() == ["/terms"]


def test_rules_for_our_name_are_found_by_the_user_agent(site: Site) -> None:
    """The name that we send is the name that we go by."""
    site.page("/robots.txt", "User-agent: termsbot\nDisallow: /\n\nUser-agent: *\nAllow: /")
    client = Client(Limits(allow_private_addresses=True, user_agent="TermsBot/1"), clock=lambda: NOW, environment={})

    assert fetch(Fetcher(client, pause=timedelta(0)), site.url("/terms")).problem is not None


def test_an_answer_is_used_whatever_its_type(site: Site, fetcher: Fetcher) -> None:
    """Rules count though the server calls them something else."""
    site.answers["/robots.txt"] = Answer(
        b"user-agent:*\ndisallow:/terms", 200, {"Content-Type": "application/octet-stream"}
    )

    assert fetch(fetcher, site.url("/terms")).problem is not None
