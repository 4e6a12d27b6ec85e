"""Mail: what decides about reading comes first, threads and ids stay, and no text of strangers gets into a header."""

from __future__ import annotations

import email
import email.policy
from dataclasses import replace
from datetime import UTC, date, datetime
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tosmon import publish
from tosmon.errors import DeliveryError
from tosmon.model import (
    Alert,
    AlertKind,
    ClauseChangeKind,
    Direction,
    Edit,
    EditKind,
    Flag,
    Notification,
    Passage,
    Quote,
    Severity,
)
from tosmon.publish import FeedSettings, MailSettings

AT = datetime(2026, 10, 21, 14, 3, tzinfo=UTC)
SENDING = datetime(2026, 10, 21, 14, 4, 30, tzinfo=UTC)
SETTINGS = MailSettings(
    "Terms we live by <alerts@example.org>",
    FeedSettings("Terms we live by", "https://terms.example", "example.org", date(2026, 1, 31)),
)
TRAINING = "You allow us to train AI models on your pictures."
UNSUBSCRIBE = "https://terms.example/unsubscribe?token=" + "t0ken" * 30


def alert(**changes: Any) -> Alert:
    told = Alert(
        uid="tag:example.org,2026-01-31:change/12",
        kind=AlertKind.CHANGE,
        at=AT,
        service="Paintbox",
        service_name="Paintbox",
        type="Terms of Service",
        url="https://paintbox.example/terms",
        headline="Paintbox Terms of Service: may train AI models on your content",
        severity=Severity.HIGH,
        effective_date=date(2026, 11, 15),
        flags=(
            Flag(
                "ai_training",
                Direction.WORSE,
                "May train AI models on your content",
                after=(Quote(TRAINING, 4, 0, len(TRAINING), ("Your pictures",)),),
            ),
        ),
        passages=(
            Passage(
                ClauseChangeKind.MODIFIED,
                (
                    Edit(EditKind.SAME, "We answer within "),
                    Edit(EditKind.REMOVED, "ten"),
                    Edit(EditKind.ADDED, "thirty"),
                    Edit(EditKind.SAME, " days."),
                ),
                ("Contact",),
                9,
            ),
        ),
        change_id=12,
        evidence=("3f8a0c1d" * 8,),
        id=1,
    )
    return replace(told, **changes)


def notification(told: Alert | None = None, recipient: str = "ada@example.net") -> Notification:
    told = told or alert()
    return Notification(
        1, told, "email", recipient, publish.message_id("example.org", told.uid, "ada@example.net"), 1, AT
    )


def sent(told: Alert | None = None, unsubscribe_url: str | None = None) -> EmailMessage:
    """The mail as the other side reads it: written out and parsed again."""
    message = publish.mail(notification(told), SETTINGS, now=SENDING, ways_out=publish.WaysOut(unsubscribe_url))
    received = email.message_from_bytes(message.as_bytes(), policy=email.policy.default)
    assert isinstance(received, EmailMessage)
    assert received.defects == []
    return received


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    content = part.get_content()
    assert isinstance(content, str)
    return content


def test_subject_begins_with_severity_and_service() -> None:
    """A mailbox shows how bad it is, for which platform, and what."""
    assert sent()["Subject"] == "HIGH · Paintbox: may train AI models on your content"


def test_subject_says_when_a_mail_corrects_another() -> None:
    """A correction is no second piece of news."""
    assert sent(alert(kind=AlertKind.CORRECTION))["Subject"] == (
        "HIGH · Paintbox: correction: may train AI models on your content"
    )


def test_headers_that_mail_programs_go_by() -> None:
    """Stable Message-ID, the thread of the document, list, date of sending, and no answers from machines."""
    message = sent()

    assert message["Message-ID"] == publish.message_id(
        "example.org", "tag:example.org,2026-01-31:change/12", "ada@example.net"
    )
    assert message["References"] == message["In-Reply-To"]
    assert message["References"].startswith("<document.")
    assert message["List-Id"] == '"Terms we live by" <alerts.example.org>'
    assert message["Date"].datetime == SENDING
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Archived-At"] == "<https://terms.example/changes/12>"
    assert message["From"] == "Terms we live by <alerts@example.org>"
    assert message["To"] == "ada@example.net"
    assert "List-Unsubscribe" not in message


def test_mails_of_one_document_are_one_thread() -> None:
    """Two changes of a document answer the same root; another document's answer another."""
    first, second = sent(), sent(alert(uid="tag:example.org,2026-01-31:change/13", change_id=13))
    other = sent(alert(type="Privacy Policy"))

    assert first["References"] == second["References"] != other["References"]
    assert first["Message-ID"] != second["Message-ID"]


def test_message_id_is_the_same_for_ever() -> None:
    """The id depends on authority, alert and recipient alone; an authority that is an address gives its host."""
    assert publish.message_id("me@example.org", "tag:x", "a@b.example") == publish.message_id(
        "example.org", "tag:x", "a@b.example"
    )
    assert publish.message_id("example.org", "tag:x", "a@b.example") == "<e124889771ebde2088985f5ae0fe7117@example.org>"


def test_unsubscribing_takes_one_click() -> None:
    """With a link to unsubscribe the mail has both headers of RFC 8058, whole however long, and says it in its text."""
    message = publish.mail(notification(), SETTINGS, now=SENDING, ways_out=publish.WaysOut(UNSUBSCRIBE))
    raw = message.as_bytes()

    assert f"\r\nList-Unsubscribe: <{UNSUBSCRIBE}>\r\n".encode() in raw
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in raw
    received = sent(unsubscribe_url=UNSUBSCRIBE)
    assert UNSUBSCRIBE in body(received, "plain").replace("\n", "")
    assert f'href="{UNSUBSCRIBE}"' in body(received, "html")


def test_text_gives_the_date_first_and_the_words_marked() -> None:
    """The text can be read alone: headline, date, direction, quote, edits in brackets, links."""
    text = " ".join(body(sent(), "plain").split())
    order = [
        "may train AI models on your content",
        "Applies from 15 November 2026",
        "High severity · Paintbox, Terms of Service",
        "WORSE FOR YOU: AI training on your work",
        "Now (Your pictures): “You allow us to train AI models on your pictures.”",
        "Contact",
        "Before: “We answer within [-ten-] days.”",
        "Now: “We answer within {+thirty+} days.”",
        "https://terms.example/changes/12",
        "https://terms.example/services/Paintbox/Terms%20of%20Service",
        "https://paintbox.example/terms",
        "3f8a0c1d",
    ]
    place = 0
    for words in order:
        place = text.find(words, place)
        assert place >= 0, f"{words!r} is not where it should be in {text}"


def test_html_is_styled_in_its_tags_and_follows_dark_mode() -> None:
    """Mail programs that drop style sheets still show it; those that keep them get dark mode. Nothing is loaded."""
    html = body(sent(), "html")

    assert "max-width: 600px" in html
    assert "prefers-color-scheme: dark" in html and 'name="color-scheme"' in html
    assert html.index("Applies from 15 November 2026") < html.index("<h1")
    for loading in ("<img", "<script", "<link", "@import", "url("):
        assert loading not in html
    paragraphs = [tag for tag in html.split("<")[1:] if tag.startswith(("p ", "h1 ", "td ", "ins ", "del "))]
    assert paragraphs and all('style="' in tag for tag in paragraphs if "class=" in tag)


def test_preview_says_more_than_the_subject() -> None:
    """The line that a mailbox shows beside the subject has date and direction."""
    html = body(sent(), "html")

    assert html.index("Applies from 15 November 2026 · Worse for you: AI training on your work") < html.index("<table")


LONG = (Edit(EditKind.ADDED, "Wort für Wort " * 2000),)
WIDE = (Edit(EditKind.REMOVED, "漢" * 50_000), Edit(EditKind.ADDED, "字" * 50_000))
MANY = tuple(Edit(kind, "x&<y ") for _ in range(3000) for kind in (EditKind.SAME, EditKind.REMOVED, EditKind.ADDED))


@pytest.mark.parametrize("edits", [LONG, WIDE, MANY], ids=["long", "wide letters", "many marks"])
def test_mail_is_never_larger_than_allowed(edits: tuple[Edit, ...]) -> None:
    """Whatever changed, a mail keeps to 100 kB and says what it left out, with the link."""
    passage = Passage(ClauseChangeKind.MODIFIED, edits, ("A",), 1)
    message = publish.mail(notification(alert(passages=(passage,) * 40)), SETTINGS, now=SENDING)

    assert len(message.as_bytes()) <= 100_000
    received = email.message_from_bytes(message.as_bytes(), policy=email.policy.default)
    assert isinstance(received, EmailMessage)
    assert "more changed passages: read on" in body(received, "plain")


@pytest.mark.parametrize(
    "text",
    [
        "line\r\nBcc: everyone@example.com\r\n\r\nbody",
        "line\nBcc: everyone@example.com",
        "\x00\x1b[31m\x7f\u202eevil\u2066 \ud800",
        "<script>alert(1)</script><img src=x onerror=alert(1)>",
        "A" * 1_000_000,
        "=?utf-8?q?=0D=0ABcc:_everyone=40example.com?=",
        '"><a href="javascript:alert(1)">',
    ],
    ids=["crlf", "lf", "controls", "script", "megabyte", "encoded word", "attribute"],
)
def test_hostile_text_reaches_no_header_and_no_markup(text: str) -> None:
    """A page's words cannot add a header, a recipient, a part or an element."""
    edits = (Edit(EditKind.SAME, text), Edit(EditKind.REMOVED, text), Edit(EditKind.ADDED, text))
    hostile = alert(
        service=text,
        service_name=text,
        type=text,
        url=f"javascript:{text}",
        headline=text,
        summary=text,
        tags=(text,),
        evidence=(text,),
        flags=(Flag(text, Direction.MIXED, text, (Quote(text, 0, 0, 9, (text,)),), (Quote(text, 0, 0, 9, (text,)),)),),
        passages=(Passage(ClauseChangeKind.MODIFIED, edits, (text,), 1),),
    )
    message = sent(hostile)

    assert set(message.keys()) == set(sent().keys())
    assert message["Bcc"] is None and len(message["Subject"]) <= 180
    assert [part.get_content_type() for part in message.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    for unseen in "\x00\x1b\x7f\u202e\u2066":
        assert unseen not in body(message, "plain") and unseen not in body(message, "html")
    tags = _Tags()
    tags.feed(body(message, "html"))
    assert not tags.found & {"script", "img", "iframe", "object", "form"}


class _Tags(HTMLParser):
    """The elements that a mail program would act on; fails on a handler or a script's address."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)
        for name, value in attrs:
            assert not name.startswith("on"), name
            assert not (value or "").strip().lower().startswith(("javascript:", "data:")), value


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=120))
def test_any_headline_makes_a_mail_without_defects(headline: str) -> None:
    """Whatever a headline holds, the mail parses and its subject is one line."""
    assert "\n" not in sent(alert(headline=headline))["Subject"]


@pytest.mark.parametrize(
    "recipient",
    [
        "",
        "ada",
        "ada@example.net\r\nBcc: eve@example.com",
        "ada@example.net, eve@example.com",
        "Ada <ada@example.net>",
        "ada@exa mple.net",
        "a@b@example.net",
        "ada@example..net",
        "ada@example.net\x00",
        "x" * 300 + "@example.net",
        "=?utf-8?q?v=0d=0aBcc=3A_eve=40example=2Ecom=0d=0a=0d=0aPay_here?=@example.net",
        "ada@=?utf-8?q?example=2Enet?=",
        ".ada@example.net",
        "a..da@example.net",
        "ada@-example.net",
        "ada@192.0.2.1",
        "ada@example.net＠example.com",
    ],
)
def test_what_is_no_address_gets_no_mail(recipient: str) -> None:
    """A recipient is one plain address or a permanent error; never two, never a header."""
    with pytest.raises(DeliveryError, match="is no mail address") as caught:
        publish.mail(notification(recipient=recipient), SETTINGS, now=SENDING)

    assert caught.value.permanent


def test_domains_beyond_ascii_are_written_as_dns_knows_them() -> None:
    """An address under a domain with an umlaut is written in its ASCII form."""
    message = publish.mail(notification(recipient="ada@bücher.example"), SETTINGS, now=SENDING)

    assert message["To"] == "ada@xn--bcher-kva.example"


@given(
    st.text(st.sampled_from("aZ9=?_.!+-é漢\r\n 0d"), min_size=1, max_size=64),
    st.text(st.sampled_from("abcdefgh-0."), min_size=1, max_size=190),
)
@example("a" * 64, "b" * 60 + ".example")
@example("é" * 32, "b" * 60 + ".example")
def test_any_recipient_gets_one_to_and_no_more(user: str, domain: str) -> None:
    """Whatever passes for an address, the mail goes to it alone and its headers are ours."""
    recipient = f"{user}@{domain}"
    try:
        written = publish.mail(notification(recipient=recipient), SETTINGS, now=SENDING).as_bytes()
    except DeliveryError as error:
        assert error.permanent and "is no mail address" in str(error) and "written to" not in str(error)
        return
    received = email.message_from_bytes(written, policy=email.policy.default)
    assert received["To"] == recipient.strip().removesuffix(".") and received["Subject"].startswith("HIGH")
    assert received["Bcc"] is None and received.defects == []


# --- digests ------------------------------------------------------------------------------------------------------


def digest(*alerts: Alert, ways_out: publish.WaysOut = publish.NO_WAYS_OUT, bundle: str = "daily") -> EmailMessage:
    """A digest as the other side reads it."""
    first, *more = alerts
    told = replace(notification(first), message_id="<digest.abc@example.org>", bundle=bundle, more=tuple(more))
    written = publish.digest(told, SETTINGS, now=SENDING, ways_out=ways_out).as_bytes()
    assert len(written) <= SETTINGS.largest
    received = email.message_from_bytes(written, policy=email.policy.default)
    assert isinstance(received, EmailMessage) and received.defects == []
    return received


def of(service: str, severity: Severity = Severity.LOW, number: int = 1, **changes: Any) -> Alert:
    uid = f"tag:example.org,2026-01-31:change/{number}"
    headline = f"{service} Terms of Service: news {number}"
    given = {"service": service, "service_name": service, "severity": severity, "headline": headline, "uid": uid}
    return alert(**(given | {"change_id": number} | changes))


def test_digest_says_how_bad_how_many_and_whose() -> None:
    """The subject holds the worst severity, the number and the first services, worst first."""
    found = digest(of("Brushwork"), of("Inkwell", Severity.HIGH, 2), of("Brushwork", number=3), of("Quill", number=4))
    assert found["Subject"] == "HIGH · 4 changes of terms: Inkwell, Brushwork, Quill"
    assert digest(of("Brushwork"))["Subject"] == "LOW · 1 change of terms: Brushwork"


@pytest.mark.parametrize("kind", ["plain", "html"])
def test_digest_has_the_worst_first_by_service_with_words_and_links(kind: str) -> None:
    """Services in the order of their worst change, each with what it means, the words, from when, and a link."""
    found = body(digest(of("Brushwork"), of("Inkwell", Severity.HIGH, 2), of("Brushwork", number=3, flags=())), kind)

    places = [found.upper().index(name) for name in ("INKWELL TERMS", "BRUSHWORK TERMS OF SERVICE: NEWS 1", "NEWS 3")]
    assert places == sorted(places)
    for number in (1, 2, 3):
        assert f"https://terms.example/changes/{number}" in found
    assert TRAINING in " ".join(found.split()) and "15 November 2026" in found and "thirty" in found


def test_digest_of_hundreds_stays_small_and_counts_what_it_leaves_out() -> None:
    """A thousand changes are a mail of 100 kB at most: the worst whole, some by name, the rest counted with a link."""
    many = [of(f"Service {number}", Severity.HIGH if number == 999 else Severity.LOW, number) for number in range(1000)]
    found = body(digest(*many), "plain")

    assert found.index("Service 999 Terms of Service: news 999") < 400
    assert "more: https://terms.example/" in found


def test_digest_can_be_left_by_one_click() -> None:
    """A digest carries the same way out as any mail."""
    received = digest(of("Brushwork"), ways_out=publish.WaysOut(UNSUBSCRIBE))
    assert received["List-Unsubscribe"] == f"<{UNSUBSCRIBE}>"
    assert received["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert received["Message-ID"] == "<digest.abc@example.org>" and UNSUBSCRIBE in body(received, "plain")


def test_digest_of_a_flood_says_why_it_is_one() -> None:
    """Who asked for single mails is told why these come together."""
    assert "More changes than usual" in body(digest(of("Brushwork"), bundle="flood 2026"), "plain")
    assert "More changes than usual" not in body(digest(of("Brushwork")), "plain")


def test_hostile_text_is_harmless_in_a_digest() -> None:
    """Script, control characters, overrides, header lines and a megabyte of words come out as few plain words."""
    text = "<script>alert(1)</script>\x00\x1b[31m\r\nBcc: everyone@example.net\r\n\r\n\u202egnp.exe " + "A" * 1_000_000
    bad = alert(
        headline=text, service=text, service_name=text, type=text, summary=text, tags=(text,), url="javascript:alert(1)",
        flags=(Flag("ai_training", Direction.WORSE, text, (Quote(text, 1, 0, 9, (text,)),)),),
        passages=(Passage(ClauseChangeKind.ADDED, (Edit(EditKind.ADDED, text),), (text,)),),
    )  # fmt: skip
    received = digest(bad, replace(bad, flags=(), severity=Severity.LOW))

    assert received["Bcc"] is None and len(str(received["Subject"])) <= 200
    for kind in ("plain", "html"):
        shown = body(received, kind)
        assert not any(sign in shown for sign in ("\x00", "\x1b", "\u202e"))
        assert "\nBcc:" not in shown and "javascript:" not in shown
    assert "<script" not in body(received, "html")


# --- ways out -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "html"])
def test_mail_shows_its_readers_links_and_the_whole_text(kind: str) -> None:
    """Mute this document, choose anew, leave, and the whole version: each is one link, in text and HTML."""
    ways = publish.WaysOut(UNSUBSCRIBE, "https://terms.example/mute/abc", "https://terms.example/choose/abc")
    message = publish.mail(notification(alert(version_id=30)), SETTINGS, now=SENDING, ways_out=ways)
    received = email.message_from_bytes(message.as_bytes(), policy=email.policy.default)
    assert isinstance(received, EmailMessage)

    shown = body(received, kind)
    for link in (UNSUBSCRIBE, "https://terms.example/mute/abc", "https://terms.example/choose/abc"):
        assert link in shown
    assert "https://terms.example/versions/30" in shown


def test_link_of_another_scheme_is_no_way_out() -> None:
    """Only http and https lead anywhere from a mail."""
    message = publish.mail(notification(), SETTINGS, now=SENDING, ways_out=publish.WaysOut("javascript:alert(1)"))
    assert message["List-Unsubscribe"] is None and "javascript" not in message.as_string()
