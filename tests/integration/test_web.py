"""The web of a filled archive over real HTTP: what each page says, and what no page may do."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest
import requests
import web_story as story
from bs4 import BeautifulSoup, Tag
from fastapi import FastAPI
from fastapi.routing import APIRoute
from web_server import serving, web

from tosmon.archive import Archive, Recording
from tosmon.clauses import join
from tosmon.compare import compare
from tosmon.model import Form, Outcome, SourceDocument, Terms, TermsKey, Verdict
from tosmon.publish import Feed, FeedFormat, document_feed, feed_file, links, write
from tosmon.publish.signed import Purpose, Signer
from tosmon.web import WebSettings, app
from tosmon.web.site import Site


@dataclass(frozen=True)
class Told:
    """The story's archive, served."""

    archive: Archive
    folder: Path
    base: str
    changes: dict[str, int]
    versions: dict[TermsKey, list[int]]

    def get(self, path: str, **more: Any) -> requests.Response:
        return requests.get(self.base + path, timeout=30, allow_redirects=False, **more)

    def soup(self, path: str) -> BeautifulSoup:
        answer = self.get(path)
        assert answer.status_code == 200, (path, answer.status_code)
        return BeautifulSoup(answer.text, "lxml")

    def change(self, name: str) -> str:
        return links.change_path(self.changes[name])


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("web")
    archive = Archive(f"sqlite:///{folder}/archive.sqlite")
    recorded = story.tell(archive, folder / "snapshots")
    with serving(web(archive, folder)) as base:
        yield Told(archive, folder, base, recorded.changes, recorded.versions)
    archive.close()


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an archive without anything in it."""
    archive = Archive(f"sqlite:///{tmp_path_factory.mktemp('empty')}/archive.sqlite")
    with serving(app(archive, WebSettings())) as base:
        yield base
    archive.close()


def words(tag: Tag | BeautifulSoup | None) -> str:
    """The words as they are read, whatever tags they are in."""
    assert tag is not None
    return re.sub(r" (?=[.:,]( |$))", "", " ".join(tag.get_text(" ").split()))


# --- routes and headers -------------------------------------------------------------------------------------------

# Every route and who may use it. A new one must be entered here, with its policy: PUBLIC answers GET to everybody and
# changes nothing; LINK takes a signed link from a mail, shows by GET and acts by POST; FORM takes a form of ours from
# anybody; TOKEN acts by POST for whoever has logged in with the operator's token.
PUBLIC, LINK, FORM, TOKEN = "public", "link", "form", "token"
POLICIES = {
    "/": PUBLIC,
    "/api/openapi.json": PUBLIC,
    "/api/v1/changes": PUBLIC,
    "/api/v1/changes/{change_id}": PUBLIC,
    "/api/v1/found-later": PUBLIC,
    "/api/v1/profiles": PUBLIC,
    "/api/v1/profiles/{service}": PUBLIC,
    "/api/v1/profiles/{service}/history": PUBLIC,
    "/api/v1/search": PUBLIC,
    "/api/v1/services": PUBLIC,
    "/api/v1/services/{service}": PUBLIC,
    "/api/v1/services/{service}/{type}": PUBLIC,
    "/api/v1/services/{service}/{type}/at/{when}": PUBLIC,
    "/api/v1/services/{service}/{type}/versions": PUBLIC,
    "/api/v1/versions/{version_id}": PUBLIC,
    "/changes/{change_id:int}": PUBLIC,
    "/changes/{change_id:int}/patch": PUBLIC,
    "/favicon.ico": PUBLIC,
    "/feeds": PUBLIC,
    "/feeds.opml": PUBLIC,
    "/feeds/{name:path}": PUBLIC,
    "/found-later": PUBLIC,
    "/health": PUBLIC,
    "/incidents": PUBLIC,
    "/mute/{token}": LINK,
    "/operator": PUBLIC,
    "/operator/check": TOKEN,
    "/operator/login": FORM,
    "/operator/logout": TOKEN,
    "/operator/noise": TOKEN,
    "/operator/part": TOKEN,
    "/operator/pause": TOKEN,
    "/operator/pin": TOKEN,
    "/operator/release": TOKEN,
    "/operator/resume": TOKEN,
    "/profiles": PUBLIC,
    "/profiles/{service}": PUBLIC,
    "/robots.txt": PUBLIC,
    "/search": PUBLIC,
    "/services": PUBLIC,
    "/services/{service}": PUBLIC,
    "/services/{service}/{type}": PUBLIC,
    "/services/{service}/{type}/at": PUBLIC,
    "/services/{service}/{type}/at/{when}": PUBLIC,
    "/services/{service}/{type}/compare": PUBLIC,
    "/static/{mark}/{name}": PUBLIC,
    "/subscribe": FORM,
    "/subscribe/asked": PUBLIC,
    "/subscribe/confirm/{token}": LINK,
    "/subscription/{token}": LINK,
    "/unsubscribe/{token}": LINK,
    "/versions/{version_id:int}": PUBLIC,
    "/versions/{version_id:int}/evidence/{number:int}.warc.gz": PUBLIC,
    "/versions/{version_id:int}/text": PUBLIC,
    "/{service}/{type}/at/{when}": PUBLIC,
}


def routes_of(application: FastAPI) -> dict[str, set[str]]:
    """Every path of an application, with its methods."""
    found: dict[str, set[str]] = {}
    seen: list[Any] = [(route, "") for route in application.routes]
    while seen:
        route, before = seen.pop()
        inner = getattr(route, "original_router", None)
        seen += [(one, "") for one in getattr(inner, "routes", [])]
        if path := getattr(route, "path", ""):
            found.setdefault(before + path, set()).update(set(getattr(route, "methods", None) or ()) - {"HEAD"})
    return found


def test_every_route_has_its_policy(told: Told) -> None:
    """What is public only reads; what acts takes POST; and no route is there that nobody has thought of."""
    found = routes_of(web(told.archive, told.folder))
    methods = {PUBLIC: [{"GET"}], LINK: [{"GET", "POST"}], FORM: [{"POST"}, {"GET", "POST"}], TOKEN: [{"POST"}]}

    assert set(found) == set(POLICIES)
    assert [path for path, policy in POLICIES.items() if found[path] not in methods[policy]] == []


def test_every_route_is_documented() -> None:
    """The tables of the documentation list each address, and none that is not there."""
    docs = (Path(__file__).parents[2] / "docs").glob("*.md")
    written = "\n".join(file.read_text(encoding="utf-8") for file in docs)
    listed = set(re.findall(r"^\| `(/[^` ?]*)` \|", written, re.MULTILINE))

    assert listed == {re.sub(r":(int|path)}", "}", path) for path in POLICIES}


def test_nothing_but_reading_is_allowed(told: Told) -> None:
    """POST, PUT, PATCH and DELETE are refused on all that is public, with a page that says so."""
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for path in ("/", told.change("training"), "/feeds", "/health", "/api/v1/changes"):
            assert requests.request(method, told.base + path, timeout=30).status_code == 405


def paths(told: Told) -> list[str]:
    """One address of each kind."""
    inkwell = links.document_path(story.INKWELL)
    first, last = told.versions[story.INKWELL][0], told.versions[story.INKWELL][-1]
    return [
        "/",
        "/?topic=ai_training&direction=worse",
        "/services",
        links.service_path("Inkwell"),
        inkwell,
        f"{inkwell}?all=1",
        f"{inkwell}/at/2026-05-01",
        f"{inkwell}/compare?from={first}&to={last}&view=side",
        *(told.change(name) for name in told.changes),
        f"{told.change('training')}?view=side",
        f"{told.change('hostile')}?view=side",
        *(f"/versions/{versions[-1]}" for versions in told.versions.values()),
        links.document_path(story.HOSTILE),
        links.service_path("Grimware"),
        links.document_path(story.DRIFTNET),
        "/search",
        "/search?q=script",
        "/search?q=we&order=first",
        "/feeds",
        "/incidents",
        "/robots.txt",
        "/health",
        "/api/v1/services",
        "/api/v1/changes",
    ]


def test_every_answer_is_strict_about_what_may_run(told: Told) -> None:
    """No answer, of whatever kind or status, goes out without the policy that keeps strangers' text harmless."""
    for path in [*paths(told), "/nowhere", "/changes/0", "/feeds/all.atom", "/api/v1/nowhere", "/feeds.opml"]:
        headers = told.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy, path
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"


def test_pages_hold_no_script_style_or_request_of_strangers(told: Told) -> None:
    """Whatever was captured, a page has one script of ours, no inline style or handler, and loads from here alone."""
    for path in paths(told):
        answer = told.get(path)
        if "html" not in answer.headers["Content-Type"]:
            continue
        soup = BeautifulSoup(answer.text, "html.parser")
        assert [str(tag["src"]).startswith("/static/") for tag in soup("script")] == [True], path
        assert not soup(["style", "iframe", "object", "embed", "base"]), path
        for tag in soup(True):
            assert not [name for name in tag.attrs if name.startswith("on") or name in ("style", "srcdoc")], (path, tag)
            for name in ("src", "action"):
                assert not tag.get(name) or str(tag[name]).startswith("/"), (path, tag)
            href = str(tag.get("href") or "/")
            assert href.startswith(("/", "#", "?", "https://", "http://")), (path, href)
            if tag.name == "a" and href.startswith("http"):
                assert tag.get("rel") == ["nofollow", "noopener"], (path, href)


def test_text_that_turns_itself_around_is_shown_straight(told: Told) -> None:
    """Marks that override the direction of text, and control characters, are on no page."""
    for path in (told.change("hostile"), links.document_path(story.HOSTILE), "/", "/services"):
        assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x1b]", told.get(path).text), path


def test_hostile_text_stays_in_its_attributes_and_titles(told: Told) -> None:
    """A headline that closes the title and opens a script is shown as those very letters."""
    answer = told.get(told.change("hostile"))

    assert "<script>alert" not in answer.text
    assert "<img src=x" not in answer.text and "<svg onload" not in answer.text
    assert words(BeautifulSoup(answer.text, "lxml").h1).startswith("</title><script>alert(9)</script>")


def test_unchanged_pages_are_answered_with_304(told: Told) -> None:
    """A reader who has the page gets no second copy; one who has another gets the whole of it."""
    first = told.get(told.change("training"))
    again = told.get(told.change("training"), headers={"If-None-Match": first.headers["ETag"]})
    other = told.get(told.change("training"), headers={"If-None-Match": 'W/"another"'})

    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert other.content == first.content


def test_pages_are_packed_for_those_who_can_unpack(told: Told) -> None:
    """gzip when it is accepted, and never when it is refused."""
    packed = told.get("/", headers={"Accept-Encoding": "gzip"})
    plain = told.get("/", headers={"Accept-Encoding": "gzip;q=0"})

    assert packed.headers["Content-Encoding"] == "gzip" and "Content-Encoding" not in plain.headers
    assert packed.content == plain.content


def test_head_is_get_without_the_body(told: Told) -> None:
    """Link checkers ask with HEAD and get the same headers."""
    answer = requests.head(told.base + told.change("training"), timeout=30)

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["ETag"] == told.get(told.change("training")).headers["ETag"]


def test_pages_are_light(told: Told) -> None:
    """Everything but the text itself, style and script included, stays far under 100 kB."""
    soup = told.soup("/")
    around = [str(tag.get("href") or tag.get("src")) for tag in soup.select("link[rel=stylesheet], script, img")]

    assert sum(len(told.get(path).content) for path in set(around)) < 50_000
    assert len(told.get(told.change("training")).content) < 40_000


def test_static_files_have_an_address_for_each_content(told: Told) -> None:
    """They are kept for ever, so another content has another address and an old address is not found."""
    address = str(told.soup("/").select("link[rel=stylesheet]")[0]["href"])

    assert "immutable" in told.get(address).headers["Cache-Control"]
    assert told.get("/static/0000000000/style.css").status_code == 404


# --- the first page -------------------------------------------------------------------------------------------------


def test_latest_change_says_what_for_whom_and_from_when(told: Told) -> None:
    """The first headline: what changed, whose, how severe, which way, from when, seen when."""
    entry = words(told.soup("/").article)

    assert entry.startswith("Inkwell Studio · Terms of Service High severity")
    assert "May train AI models on your content; licence now for any purpose" in entry
    assert "▼ Worse for you: AI training on your work" in entry
    assert "Applies from 1 December 2026 · seen 3 hours ago" in entry


def test_times_are_said_and_exact(told: Told) -> None:
    """ "3 hours ago" carries the exact time in UTC, for hover and for machines."""
    time = told.soup("/").article.time  # type: ignore[union-attr]

    assert time is not None and time["datetime"] == "2026-11-03T06:08:00+00:00"
    assert time["title"] == "3 November 2026, 06:08 UTC"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("direction=better", ["Trains AI only on recordings of those who agree"]),
        (
            "topic=content_license",
            ["May train AI models on your content; licence now for any purpose; from 1 Dec 2026"],
        ),
        ("service=Ehondo", ["Works made with generative AI must be labelled"]),
        (
            "severity=high&since=2026-11-01",
            [
                "May train AI models on your content; licence now for any purpose; from 1 Dec 2026",
                "May train AI models on your works unless you object",
            ],
        ),
        ("service=Inkwell&direction=better", []),
    ],
)
def test_filters_live_in_the_address(told: Told, query: str, expected: list[str]) -> None:
    """A view can be kept and shared: the address alone says what is shown."""
    soup = told.soup(f"/?{query}")

    assert [words(one) for one in soup.select("article h3")] == expected
    for name, value in (pair.split("=") for pair in query.split("&")):
        chosen = soup.select_one(f"[name={name}] option[selected], input[name={name}]")
        assert chosen is not None and chosen["value"] == value


def test_filters_that_make_no_sense_are_named_and_left_out(told: Told) -> None:
    """An old or mangled link still shows something, and says what it did not understand."""
    soup = told.soup("/?since=yesterday&direction=sideways&before=x")

    assert "direction=sideways, since=yesterday, before=x" in words(soup.select_one(".note"))
    assert soup.article


def test_older_changes_are_one_link_away(told: Told) -> None:
    """The list goes on page by page until every change was shown once."""
    seen: list[str] = []
    path = "/"
    while path:
        soup = told.soup(path)
        seen += [str(link["href"]) for link in soup.select("article h3 a")]
        older = soup.select_one("a[rel=next]")
        path = str(older["href"]) if older else ""

    assert len(seen) == len(set(seen)) == len(told.archive.browse.changes(limit=1000))


def test_an_empty_archive_says_what_to_do(empty: str) -> None:
    """Whoever opens it first is told how to add a document; no page breaks for lack of anything."""
    for path in ("/", "/services", "/feeds", "/incidents", "/health", "/api/v1/changes", "/api/v1/services"):
        assert requests.get(empty + path, timeout=30).status_code == 200
    assert "tosmon add URL" in requests.get(empty, timeout=30).text


# --- services and documents -----------------------------------------------------------------------------------------


def test_links_in_mails_and_feeds_lead_to_pages(told: Told) -> None:
    """The paths that mails and feeds were given work as they were written."""
    for key in told.versions:
        assert told.get(links.document_path(key)).status_code == 200
        assert told.get(links.service_path(key.service)).status_code == 200
    assert told.get(told.change("training")).status_code == 200


def test_a_document_shows_when_it_was_last_seen_whole(told: Told) -> None:
    """Every document says when it was last seen whole and when it is looked at next."""
    facts = words(told.soup(links.document_path(story.INKWELL)).select_one("dl.facts"))

    assert "Last read completely 23 minutes ago" in facts and "Next look in 40 minutes" in facts


def test_a_document_that_cannot_be_read_says_so_first(told: Told) -> None:
    """An incident stands on top, with its reason and since when, and on the page of all incidents."""
    banner = words(told.soup(links.document_path(story.DRIFTNET)).select_one(".note.broken"))

    assert "cannot be read right now: blocked" in banner and "Checking your browser" in banner
    assert "at 3 looks" in banner and "Last read completely 6 months ago" in banner
    assert "Driftnet" in words(told.soup("/incidents").select_one(".note.broken"))


def test_health_tells_what_was_held_back_and_why(told: Told) -> None:
    """Nothing is dropped in silence: the latest changes that nobody was told of, each with its reason."""
    reasons = [words(one) for one in told.soup("/incidents").select("#held-back ~ .reasons li")]

    assert any("Fotofeld" in one and "Nobody was told: a known text: it stood before" in one for one in reasons)


def test_suppressed_changes_wait_behind_a_switch_with_their_reasons(told: Told) -> None:
    """What nobody was told of is counted at first, then shown, each with why."""
    path = links.document_path(story.FOTOFELD)
    short, whole = told.soup(path), told.soup(f"{path}?all=1")

    assert len(short("article")) == 1 and "3 more are kept that nobody was told of" in words(short)
    assert len(whole("article")) == 4
    assert words(whole).count("Nobody was told: a known text: it stood before") == 3


def test_a_withdrawn_change_says_that_it_was_taken_back(told: Told) -> None:
    """Who comes by an old link learns that the change no longer stands."""
    note = words(told.soup(told.change("withdrawn")).select_one("main .note"))

    assert note.startswith("Taken back. People were told, then the platform went back to the earlier text.")


def test_each_page_offers_its_own_feeds(told: Told) -> None:
    """Feed readers find the feed of the document, of the service and of everything on a document's page."""
    offered = [
        str(link["href"]) for link in told.soup(links.document_path(story.INKWELL)).select("link[rel=alternate]")
    ]

    assert offered == [
        "/feeds/document/Inkwell/Terms%20of%20Service.atom",
        "/feeds/service/Inkwell.atom",
        "/feeds/all.atom",
    ]
    for path in ("/", "/services", "/feeds", "/incidents", told.change("hostile"), links.document_path(story.DRIFTNET)):
        for link in told.soup(path).select("link[rel=alternate]"):
            assert told.get(str(link["href"])).status_code == 200, link


# --- a change -------------------------------------------------------------------------------------------------------


def test_the_change_page_answers_three_questions_first(told: Told) -> None:
    """What changed, for whom, from when: in the headline and the facts under it, before anything else."""
    head = told.soup(told.change("training")).header

    main = told.soup(told.change("training")).main
    assert head is not None and main is not None
    facts = words(main.select_one(".headline"))
    assert "may train AI models on your content" in facts
    assert "From when 1 December 2026 in 28 days" in facts
    assert "For whom Everyone who uses Inkwell Studio under its Terms of Service" in facts
    assert "Seen 3 hours ago 3 November 2026, 06:08 UTC" in facts


def test_each_flag_leads_to_its_quote(told: Told) -> None:
    """The card of a flag links to the very words in the text, which link back to the card."""
    for name in ("training", "promise", "renumbered", "german", "arabic", "hostile"):
        for view in ("inline", "side"):
            soup = told.soup(f"{told.change(name)}?view={view}")
            cards = soup.select(".flag")
            assert cards
            for number, card in enumerate(cards, 1):
                assert card["id"] == f"about-{number}" and card.select(f'a[href="#flag-{number}"]')
                [anchor] = soup.select(f"#flag-{number}")
                assert anchor.find_next("mark") is not None
                assert soup.select(f'.notes a[href="#about-{number}"]')


def test_the_quote_is_marked_word_for_word(told: Told) -> None:
    """The marked words, joined, are the flag's quote."""
    [change] = [one for one in told.archive.browse.changes() if one.id == told.changes["training"]]
    soup = told.soup(told.change("training"))
    marked = "".join(mark.get_text() for mark in soup.select(".row.added mark.worse"))

    assert marked == change.flags[0].after[0].text


def test_reworded_clauses_mark_the_words_that_went_and_came(told: Told) -> None:
    """Inside a reworded clause only the words that differ are marked, with tags of their own."""
    row = told.soup(told.change("training")).select(".row.modified")[0]

    assert [words(tag) for tag in row.select("del, ins")] == ["16", "13"]
    assert "Reworded" in words(row.select_one(".label"))


def test_side_by_side_shows_each_text_whole(told: Told) -> None:
    """Left the old words alone, right the new ones alone."""
    row = told.soup(f"{told.change('training')}?view=side").select(".row.modified")[0]

    assert words(row.select_one(".side.before .words")).endswith("at least 16 years old.")
    assert words(row.select_one(".side.after .words")).endswith("at least 13 years old.")
    assert not row.select(".side.before ins, .side.after del")


def test_renumbered_clauses_are_folded_and_counted(told: Told) -> None:
    """One inserted section does not bury itself under the new numbers of all that follow."""
    soup = told.soup(told.change("renumbered"))

    assert words(soup.select_one(".row[data-change] .words")) == "4. Artificial intelligence"
    assert len(soup.select(".row[data-change]")) == 2
    fold = soup.select(".fold")[-1]
    assert words(fold.summary).startswith("4 clauses unchanged, 4 renumbered Ending your account … How to reach us")
    assert "Renumbered, same words" in words(fold) and words(fold.select_one(".row.renumbered .marker")) == "4. 5."


def test_what_only_looks_different_waits_behind_a_switch(told: Told) -> None:
    """Renumbered, moved and cosmetic clauses are folded; the switch shows each of them, and no unchanged one."""
    folded = told.soup(told.change("renumbered"))
    switch = folded.select_one(".quiet-switch")
    assert switch is not None and words(switch) == "+ 4 moved or cosmetic"
    shown = told.soup(str(switch["href"]).partition("#")[0])

    assert not folded.select(".passage .row.renumbered") and len(shown.select(".passage .row.renumbered")) == 4
    assert len(shown.select("[data-change]")) == len(folded.select("[data-change]"))
    assert not shown.select(".fold .row.renumbered")


def test_a_removed_promise_shows_what_is_gone(told: Told) -> None:
    """Where words only went, the page shows them, marked as removed, and says that they are gone."""
    soup = told.soup(told.change("promise"))

    assert words(soup.select_one(".row.removed del")) == story.PROMISE
    assert "These words are gone." in words(soup.select_one(".flag"))


def test_texts_say_their_language_and_direction(told: Told) -> None:
    """Arabic runs from right to left and is announced as Arabic."""
    diff = told.soup(told.change("arabic")).select_one(".diff")

    assert diff is not None and diff["lang"] == "ar"
    assert all(one["dir"] == "auto" for one in diff.select(".words"))


def test_the_patch_turns_one_text_into_the_other(told: Told) -> None:
    """The raw patch is a download, and holds every line that differs."""
    answer = told.get(f"{told.change('promise')}/patch")

    assert answer.headers["Content-Disposition"].startswith("attachment")
    removed = [line[1:] for line in answer.text.splitlines() if line.startswith("-") and not line.startswith("---")]
    assert story.PROMISE in removed


def test_evidence_is_a_download_with_the_digest_that_is_shown(told: Told) -> None:
    """The WARC file comes as an attachment of its own type, and its SHA-256 is the one on the page."""
    soup = told.soup(told.change("training"))
    link = soup.select_one(".evidence a[download]")
    assert link is not None
    answer = told.get(str(link["href"]))

    assert answer.headers["Content-Type"] == "application/warc"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert hashlib.sha256(answer.content).hexdigest() in words(soup)


def test_snapshots_outside_their_folder_are_not_handed_out(told: Told, tmp_path: Path) -> None:
    """Where the folder of snapshots is another one, or none, there is nothing to download and the page says so."""
    for folder in (None, tmp_path):
        with serving(app(told.archive, WebSettings(snapshots=folder), lambda: story.NOW)) as base:
            version = told.versions[story.INKWELL][-1]
            assert requests.get(f"{base}/versions/{version}/evidence/1.warc.gz", timeout=30).status_code == 404
            assert "evidence/1.warc.gz" not in requests.get(f"{base}/versions/{version}", timeout=30).text


def test_a_rewrite_of_20000_words_is_shown_whole(told: Told) -> None:
    """Nothing is cut, however long: every changed clause of a rewritten document is there."""
    soup = told.soup(told.change("rewrite"))

    assert len(soup.select("[data-change]")) == 192


# --- versions -------------------------------------------------------------------------------------------------------


def test_each_clause_says_since_when_it_stands(told: Told) -> None:
    """A clause that a change brought links to that change; older ones say that they stood before."""
    soup = told.soup(f"/versions/{told.versions[story.INKWELL][-1]}")
    clause = next(one for one in soup.select(".clause") if "train, improve" in one.get_text())
    since = clause.find_previous("p", class_="since")
    first = soup.select_one(".clause .since")

    assert since is not None and since.a is not None
    assert (words(since), since.a["href"]) == ("since 3 November 2026", told.change("training"))
    assert words(first) == "since 29 October 2025 or before"


def test_a_version_has_contents_that_lead_to_its_headings(told: Told) -> None:
    """Each entry of the contents is a heading on the page."""
    soup = told.soup(f"/versions/{told.versions[story.BRUSHWORK][-1]}")
    entries = soup.select(".contents a")

    assert "4. Artificial intelligence" in [words(one) for one in entries]
    for entry in entries:
        target = soup.select_one(str(entry["href"]))
        assert target is not None and target.find(re.compile("h[2-6]"))


def test_the_text_in_force_on_a_day(told: Told) -> None:
    """A day gives the last text seen by its end; the day of a change gives the new text."""
    path = links.document_path(story.BRUSHWORK)

    assert story.PROMISE in words(told.soup(f"{path}/at/2026-09-18"))
    assert story.PROMISE not in words(told.soup(f"{path}/at/2026-09-19"))
    assert story.PROMISE in words(told.soup(f"{path}/at/2026-09-19T09:11Z"))


def test_the_text_of_a_day_has_a_short_address_too(told: Told) -> None:
    """As people write it from memory, without `/services`; a day that is none stays on this site."""
    answer = told.get("/Brushwork/Terms%20of%20Service/at/2026-09-18")

    assert answer.status_code == 308
    assert answer.headers["Location"] == f"{links.document_path(story.BRUSHWORK)}/at/2026-09-18"
    assert told.get("/Nobody/Terms/at/2026-09-18").status_code == 404


def test_a_day_before_the_first_text_leads_to_the_first(told: Told) -> None:
    """It is no dead end: the page says from when there are texts."""
    answer = told.get(f"{links.document_path(story.BRUSHWORK)}/at/2016-01-01")

    assert answer.status_code == 404 and "Its first text is of" in answer.text


def test_the_form_for_a_day_leads_to_an_address_to_keep(told: Told) -> None:
    """The form is sent on to the address of that day, and never to another site."""
    path = links.document_path(story.BRUSHWORK)
    answer = told.get(f"{path}/at?on=2026-09-18")

    assert (answer.status_code, answer.headers["Location"]) == (303, f"{path}/at/2026-09-18")
    assert told.get(f"{path}/at?on=//evil.example").status_code == 404


def test_a_comparison_that_many_ask_for_is_made_once(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long text takes seconds to lay out, and a page that is asked for twice must not take them twice."""
    made: list[int] = []
    two = Barrier(2)

    def counted(*clauses: Any) -> Any:
        made.append(1)
        with suppress(BrokenBarrierError):
            two.wait(0.3)  # time for another to begin, if any may
        return compare(*clauses)

    monkeypatch.setattr("tosmon.web.site.compare", counted)
    site = Site(told.archive, WebSettings(), lambda: story.NOW)
    before, after = told.versions[story.INKWELL][:2]
    with ThreadPoolExecutor(4) as readers:
        laid_out = list(readers.map(lambda number: site.layout(before, after), range(4)))

    assert len(made) == 1 and all(one is laid_out[0] for one in laid_out)


def test_any_two_versions_are_compared_older_first(told: Told) -> None:
    """Whichever way round they are asked for, the older text is the one before."""
    first, last = told.versions[story.BRUSHWORK][0], told.versions[story.BRUSHWORK][-1]
    path = links.document_path(story.BRUSHWORK)
    either = [words(told.soup(f"{path}/compare?from={a}&to={b}").main) for a, b in ((first, last), (last, first))]

    assert story.PROMISE in either[0] and either[0].replace("·", "") == either[1].replace("·", "")
    assert told.get(f"{path}/compare?from={first}&to={told.versions[story.INKWELL][0]}").status_code == 404


def test_the_stored_text_is_handed_out_byte_for_byte(told: Told) -> None:
    """The Markdown download is what the archive holds, even where it is hostile."""
    version = told.versions[story.HOSTILE][-1]
    answer = told.get(f"/versions/{version}/text")

    assert answer.content.decode() == join(told.archive.browse.clauses(version))
    assert answer.headers["Content-Type"].startswith("text/markdown")
    assert answer.headers["Content-Disposition"].startswith("attachment")


# --- search -----------------------------------------------------------------------------------------------------------


def test_a_search_shows_each_clause_with_its_first_and_last_day(told: Told) -> None:
    """A removed promise: its words marked, first seen when, gone since when, with links to text and changes."""
    hit = told.soup("/search?q=never+artwork&service=Brushwork").select(".hit")[0]
    stand = hit.select_one(".stands li")
    assert stand is not None

    assert words(hit.select_one(".words")) == story.PROMISE
    assert [words(mark) for mark in hit.select("mark")] == ["never", "artwork"]
    assert "gone since 19 September 2026" in words(stand)
    place, removed = str(stand("a")[0]["href"]), str(stand("a")[-1]["href"])
    assert removed == told.change("promise")
    path, _, anchor = place.partition("#")
    clause = told.soup(path).select_one(f"#{anchor}")
    assert story.PROMISE in words(clause)


def test_a_search_can_be_shared_and_goes_on(told: Told) -> None:
    """All that is asked for lives in the address; further clauses are one link away."""
    soup = told.soup("/search?q=we+you&order=first&type=Terms+of+Service&since=2026-01-01")
    chosen = {str(field["name"]): field for field in soup.select(".search [name]")}
    more = soup.select_one("a[rel=next]")

    assert chosen["q"]["value"] == "we you" and chosen["since"]["value"] == "2026-01-01"
    assert words(chosen["order"].select_one("[selected]")) == "Who said it first"
    assert more is not None and len(told.soup(str(more["href"])).select(".hit")) > 0


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "Who says what, and since when"),
        ("?q=%22", "There is no word in that"),
        ("?q=-gone", "There is no word in that"),
        ("?q=zzyzx", "No clause says that"),
        ("?q=we&service=Nobody", "Look everywhere"),
        ("?q=NEAR(a+b+^*)+AND+OR+NOT", "No clause says that"),
        ("?q=we&since=never&after=x&order=upside", "since=never, after=x"),
        ("?q=%00%ED%A0%80&type=%00", "There is no word in that"),
        ("?q=we&until=9999-12-31", "could not be understood"),
    ],
)
def test_no_search_is_an_error(told: Told, query: str, said: str) -> None:
    """Whatever is typed, the page helps on."""
    assert said in words(told.soup(f"/search{query}"))


def test_found_text_of_strangers_is_shown_as_text(told: Told) -> None:
    """Hostile clauses are found and harmless, and so is a hostile search."""
    for query in ("script", "alert", "%3Cscript%3Ealert(1)%3C/script%3E", "%22%3E%3Cimg+src=x+onerror=alert(1)%3E"):
        answer = told.get(f"/search?q={query}")
        assert answer.status_code == 200 and "<script>alert" not in answer.text and "<img src=x" not in answer.text
    assert told.soup("/search?q=script").select(".hit")


def test_the_api_finds_clauses_with_a_cursor(told: Told) -> None:
    """Programs get the same, part by part."""
    first = told.get("/api/v1/search?q=we&limit=3").json()
    second = told.get(f"/api/v1/search?q=we&limit=3&after={first['next']}").json()
    [hit] = told.get("/api/v1/search?q=%22improve+and+evaluate%22&service=Inkwell").json()["hits"]

    assert len({one["clause"] for one in first["hits"] + second["hits"]}) == 6
    assert hit["text"] == story.TRAINING and hit["stands"][0]["gone_at"] is None
    assert hit["stands"][0]["brought_by"] == told.changes["training"]
    assert told.get("/api/v1/search").status_code == 422


# --- feeds and health -----------------------------------------------------------------------------------------------


def test_published_feeds_are_served_as_they_lie(told: Told) -> None:
    """A feed's file goes out with its type and validators, and is not sent twice."""
    feed = document_feed(story.INKWELL, "Inkwell Studio")

    def alerts(feed: Feed) -> list[Any]:
        return told.archive.browse.alerts(feed.path)

    write(told.folder / "public", alerts, [feed], story.SETTINGS)
    path = "/" + feed_file(feed, FeedFormat.RSS)
    first = told.get(path)
    again = told.get(path, headers={"If-None-Match": first.headers["ETag"]})
    dated = told.get(path, headers={"If-Modified-Since": first.headers["Last-Modified"]})

    assert first.headers["Content-Type"].startswith("application/rss+xml")
    assert first.content == (told.folder / "public" / feed_file(feed, FeedFormat.RSS)).read_bytes()
    assert (again.status_code, dated.status_code) == (304, 304)


def test_a_feed_without_a_file_is_written_on_the_spot(told: Told) -> None:
    """Who subscribes before the first alert, or before the files were written, gets a feed all the same."""
    answer = told.get("/feeds/document/Driftnet/Privacy%20Policy.json")

    assert answer.json()["items"] == []
    assert told.get("/feeds/topic/ai_training.atom").text.count("<entry>") == 5
    assert told.get("/feeds/service/Nobody.atom").status_code == 404
    assert told.get("/feeds/..%2f..%2farchive.sqlite").status_code == 404


def test_every_feed_is_listed_and_in_the_opml(told: Told) -> None:
    """The page of feeds and the OPML name the same feeds, and each of them answers."""
    listed = {str(link["href"]) for link in told.soup("/feeds").select('.formats a[type="application/atom+xml"]')}
    outlines = BeautifulSoup(told.get("/feeds.opml").content, "xml").find_all("outline", xmlUrl=True)
    named = {str(outline["xmlUrl"]).removeprefix(story.SETTINGS.site_url) for outline in outlines}

    assert named == {*listed, "/feeds/all.atom"}
    for path in sorted(named)[::4]:
        assert told.get(path).status_code == 200


def test_health_tells_whether_anybody_looks(told: Told) -> None:
    """Fine while looks are on time; 503 once a document has waited for too long."""
    assert told.get("/health").json() == {
        "status": "ok",
        "documents": 13,
        "open_incidents": 1,
        "incidents_feed": "/feeds/incidents.atom",
        "last_checked_at": "2026-11-03T08:49:00Z",
        "next_due_at": "2026-11-03T09:52:00Z",
    }
    later = app(told.archive, WebSettings(), lambda: story.NOW + timedelta(hours=4))
    with serving(later) as base:
        answer = requests.get(f"{base}/health", timeout=30)
        assert (answer.status_code, answer.json()["status"]) == (503, "late")
        assert "Nobody is looking" in requests.get(f"{base}/incidents", timeout=30).text


def test_health_is_not_well_when_nothing_can_be_read(tmp_path: Path) -> None:
    """Looking in time is not enough: with an incident on every document we are blind, and the answer says so."""
    at = story.NOW - timedelta(minutes=5)
    with closing(Archive(f"sqlite:///{tmp_path}/blind.sqlite")) as archive:
        terms = [Terms(TermsKey(name, "Imprint"), name, Form((SourceDocument("https://x.example"),))) for name in "AB"]
        archive.declare(terms, at)
        statuses = []
        for one in terms:
            (standing,) = archive.claim([one.key], at, timedelta(minutes=5))
            next_at = at + timedelta(hours=1)
            detail = "no connection"
            archive.record(
                Recording(standing, at, at, Verdict.UNREACHABLE, Outcome.FAILED, detail, next_at, 1, status=None)
            )
            with serving(app(archive, WebSettings(), lambda: story.NOW)) as base:
                answer = requests.get(f"{base}/health", timeout=30)
                statuses.append((answer.status_code, answer.json()["status"]))
                text = requests.get(f"{base}/incidents", timeout=30).text

    assert statuses == [(200, "ok"), (503, "blind")]
    assert "None of the documents can be read" in text


def test_the_feed_of_incidents_is_linked_and_answers(told: Told) -> None:
    """Whoever runs the monitor finds it from the page of incidents; it is in no list that readers take."""
    assert told.soup("/incidents").select('a[href="/feeds/incidents.atom"]')
    text = told.get("/feeds/incidents.atom").text
    assert "<entry>" in text
    assert len(told.get("/feeds/incidents.json").json()["items"]) == text.count("<entry>")
    assert told.get("/feeds/incidents.rss").headers["Content-Type"].startswith("application/rss+xml")
    assert "incidents" not in told.get("/feeds.opml").text


# --- what is not there, and what breaks -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/changes/0",
        "/changes/99999999999999999999999",
        "/changes/x",
        "/versions/99999999999999999999999",
        "/versions/1/evidence/9.warc.gz",
        "/services/Nobody",
        "/services/Nobody/Terms%20of%20Service",
        "/services/Inkwell/Terms%20of%20Service/at/never",
        "/services/Inkwell/Terms%20of%20Service/compare?from=1",
        "/services/%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "/%3Cscript%3Ealert(1)%3C/script%3E",
    ],
)
def test_what_is_not_there_leads_back(told: Told, path: str) -> None:
    """A page that says what is missing, repeats nothing of the address, and links to where things are."""
    answer = told.get(path)

    assert answer.status_code == 404
    assert "Latest changes" in answer.text and "<script>alert" not in answer.text


def test_the_log_names_the_page_that_broke_and_no_link(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Links from mails let whoever has them in: what breaks is logged as its route, not as its address."""
    archive = Archive(f"sqlite:///{tmp_path}/archive.sqlite")
    archive.subscribers.by_handle = None  # type: ignore[method-assign,assignment]
    token = Signer("a secret for tests").token(Purpose.CHOICES, "ab" * 12)
    with serving(web(archive, tmp_path)) as base:
        for method in ("GET", "HEAD"):
            assert requests.request(method, f"{base}/subscription/{token}", timeout=30).status_code == 500
    archive.close()

    assert "GET /subscription/{token} broke" in caplog.text and "HEAD /subscription/{token} broke" in caplog.text
    assert token not in caplog.text


def test_a_slash_too_many_is_taken_off_within_the_site(told: Told) -> None:
    """`/services/` is `/services`; and no path sends anybody to another site."""
    assert told.get("/services/").headers["Location"] == "/services"
    assert told.get("//evil.example/").headers["Location"] == "/evil.example"


def test_a_break_is_a_page_that_helps_and_says_nothing_of_the_inside(tmp_path: Path) -> None:
    """When the archive is gone, people get a page and programs get JSON, without a trace of the cause."""
    archive = Archive(f"sqlite:///{tmp_path}/archive.sqlite")
    archive.browse.changes = archive.browse.state = None  # type: ignore[method-assign,assignment]
    with serving(app(archive, WebSettings())) as base:
        page = requests.get(base, timeout=30)
        api = requests.get(f"{base}/api/v1/changes", timeout=30)
    archive.close()

    assert page.status_code == api.status_code == 500
    assert "That is our fault, not yours" in page.text and "Traceback" not in page.text
    assert api.json() == {"detail": "Something broke on our side."}
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


# --- the API ----------------------------------------------------------------------------------------------------------


def test_the_api_describes_itself(told: Told) -> None:
    """OpenAPI lists every route of the API, and the document of it is valid JSON without a third party's page."""
    described = told.get("/api/openapi.json").json()

    assert set(described["paths"]) == {path for path in POLICIES if path.startswith("/api/")} - {
        "/api/openapi.json"
    } | {"/health"}
    assert told.get("/docs").status_code == 404


def test_the_api_gives_changes_with_flags_and_a_cursor(told: Told) -> None:
    """Parts of a listing follow each other by their cursor, without a gap or a double."""
    first = told.get("/api/v1/changes?limit=3").json()
    second = told.get(f"/api/v1/changes?limit=3&before={first['next']}").json()
    ids = [change["id"] for part in (first, second) for change in part["changes"]]

    assert ids[0] == told.changes["training"] and len(set(ids)) == 6
    flag = first["changes"][0]["flags"][0]
    assert (flag["topic"], flag["direction"]) == ("ai_training", "worse")
    assert first["changes"][0]["effective_date"] == "2026-12-01"


@pytest.mark.parametrize(
    ("path", "listed", "name"),
    [
        ("/api/v1/services", "services", "key"),
        ("/api/v1/services/Fotofeld/Privacy%20Policy/versions", "versions", "id"),
    ],
)
def test_every_listing_of_the_api_goes_on_by_a_cursor(told: Told, path: str, listed: str, name: str) -> None:
    """Part by part the same as at once, each once."""
    whole = [one[name] for one in told.get(path).json()[listed]]
    parts: list[Any] = []
    cursor: Any = ""
    while cursor is not None:
        answer = told.get(f"{path}?limit=2{f'&after={cursor}' if cursor else ''}").json()
        parts += [one[name] for one in answer[listed]]
        cursor = answer["next"]

    assert parts == whole and len(whole) > 4


def test_the_api_gives_the_text_in_force_at_an_instant(told: Told) -> None:
    """A researcher asks for a document at a time and gets its text and what it is known by."""
    answer = told.get("/api/v1/services/Brushwork/Terms%20of%20Service/at/2026-09-18").json()

    assert story.PROMISE in answer["text"]
    assert answer["sha256"] == hashlib.sha256(answer["text"].encode()).hexdigest()


def test_the_api_refuses_what_it_cannot_understand(told: Told) -> None:
    """Wrong values are refused with their place; what is not there is 404, in JSON."""
    assert told.get("/api/v1/changes?direction=sideways").status_code == 422
    assert told.get("/api/v1/changes?limit=100000").status_code == 422
    assert told.get("/api/v1/versions/99999999999999999999999").status_code == 422
    assert told.get("/api/v1/services/Nobody").json() == {"detail": "There is no such service in this archive."}


def test_api_routes_have_their_own_models(told: Told) -> None:
    """Each answer of the API is described by a schema, so that clients can be made from it."""
    routes = [one for one in web(told.archive, told.folder).routes if isinstance(one, APIRoute)]

    assert all(route.response_model for route in routes if route.path.startswith("/api/"))
