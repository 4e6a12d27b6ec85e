"""Subscribe, choose, mute, leave: everything a reader does with their subscription, without an account.

The one part of the web that writes: rows of the archive, from which the delivery loop sends. Whoever holds a signed link
from a mail may do what it says. Following a link changes nothing, for mail scanners follow them all; a button does. The
answer to an address is the same whether it is known or not, and no address is ever shown beyond a mask.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from zoneinfo import available_timezones

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tosmon.archive import Asker, Confirmed, address_key
from tosmon.model import Choices, Frequency, Severity, Subscriber, SubscriberState
from tosmon.publish.addressing import checked_address
from tosmon.publish.letters import WEEKDAYS, described, masked
from tosmon.publish.links import choices_path
from tosmon.publish.signed import Claim, Purpose
from tosmon.publish.text import line
from tosmon.publish.words import topic_name
from tosmon.web.evidence import disposition
from tosmon.web.forms import OURS, Form, TheForm, field
from tosmon.web.latest import topics
from tosmon.web.sessions import network_of
from tosmon.web.settings import Subscribing
from tosmon.web.site import Site, TheSite

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

_MOST_TICKED = 1000
_TRAP = "website"  # no person sees that field; programs fill in all they find

_SAID = {
    "confirmed": "You are subscribed. From now on we write to you as chosen below.",
    "saved": "Saved.",
    "paused": "Paused: nothing comes until you say so, and what happens meanwhile is not sent later.",
    "resumed": "We write to you again.",
    "muted": "Muted: you hear no more of that document.",
    "copy": "A mail with everything that is kept about you is on its way.",
    "unsure": "Nothing was erased: tick the box first.",
}


# --- what comes in ------------------------------------------------------------------------------------------------


def _subscribing(site: Site) -> Subscribing:
    if site.settings.subscribing is None:
        raise HTTPException(404, "Nobody can subscribe by mail here.")
    return site.settings.subscribing


def _claim(site: Site, purpose: Purpose, token: str) -> Claim:
    claim = _subscribing(site).signer.read(purpose, token, site.clock())
    if claim is None:
        raise HTTPException(404, "This link is damaged. Take it from the mail again, whole, up to its last letter.")
    return claim


# --- choices --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Offer:
    """What there is to choose from: values and the words for them."""

    services: Mapping[str, str]
    topics: Mapping[str, str]
    tags: Mapping[str, str]
    zones: Mapping[str, Sequence[str]]


def _offer(site: Site, chosen: Choices | None = None) -> Offer:
    """What this archive has; and what was chosen before, lest saving drops the last filter and so means everything."""
    catalogue, chosen = site.browse.catalogue(), chosen or Choices()
    services = {service: service for service in chosen.services}
    tags = {tag for one in catalogue for tag in one.tags}
    return Offer(
        services | {one.key.service: one.service_name for one in catalogue},
        {topic: topic_name(topic) for topic in dict.fromkeys((*topics(site), *chosen.topics))},
        {tag: tag for tag in sorted(tags.union(chosen.tags))},
        zones() if zone_known(chosen.zone) else {**zones(), "Before": [chosen.zone]},
    )


def zone_known(zone: str) -> bool:
    return any(zone in names for names in zones().values())


_REGIONS = ("Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")


@cache
def zones() -> Mapping[str, Sequence[str]]:
    """The time zones that people live in, by region; always with UTC."""
    known = sorted(available_timezones())
    regions = {region: [name for name in known if name.startswith(f"{region}/")] for region in _REGIONS}
    return {"": ["UTC"], **{region: names for region, names in regions.items() if names}}


def _choices(form: Form, offer: Offer) -> tuple[Choices, list[str]]:
    """What was chosen, and what could not be understood. Only what is offered counts: nothing else is ever stored."""
    problems: list[str] = []

    def ticked(name: str, offered: Sequence[str] | Mapping[str, str]) -> tuple[str, ...]:
        chosen = set(form.get(name, ())) - {""}
        if len(chosen) > _MOST_TICKED:
            problems.append("Tick fewer boxes: without any you hear of all.")
        return tuple(value for value in offered if value in chosen)[:_MOST_TICKED]

    def one_of(name: str, offered: Sequence[str], default: str, words: str) -> str:
        written = field(form, name) or default
        if written not in offered:
            problems.append(words)
            return default
        return written

    severity = one_of("severity", list(Severity), Severity.LOW, "Choose one of the severities.")
    frequency = one_of("frequency", list(Frequency), Frequency.IMMEDIATE, "Choose at once, daily or weekly.")
    hour = one_of("hour", [str(hour) for hour in range(24)], "8", "Choose an hour from 0 to 23.")
    weekday = one_of("weekday", [str(day) for day in range(7)], "0", "Choose a day of the week.")
    every_zone = [name for names in offer.zones.values() for name in names]
    zone = one_of("zone", every_zone, "UTC", "Choose a time zone from the list.")
    chosen = Choices(
        ticked("service", offer.services),
        ticked("topic", offer.topics),
        ticked("tag", offer.tags),
        Severity(severity),
        Frequency(frequency),
        int(hour),
        int(weekday),
        zone,
    )
    return chosen, problems


# --- asking ---------------------------------------------------------------------------------------------------------


@router.get("/subscribe")
def subscribe(site: TheSite, request: Request) -> Response:
    """The form; `?service=` and `?topic=` tick what the reader came from."""
    offer = _offer(site)
    query = request.query_params
    wished = {name: query.getlist(name)[:_MOST_TICKED] for name in ("service", "topic", "tag", "severity")}
    return _subscribe_form(site, offer, _choices(wished, offer)[0], "", [])


@router.post("/subscribe", dependencies=OURS)
def ask(site: TheSite, request: Request, form: TheForm) -> Response:
    settings = site.settings.subscribing
    offer = _offer(site)
    choices, problems = _choices(form, offer)
    written = field(form, "address")
    address = checked_address(written)
    if address is None:
        problems.insert(0, "Give a mail address like name@example.org: one address, without quotes or a name.")
    if settings is None or not settings.open:
        return _subscribe_form(site, offer, choices, "", [], status=403)
    if problems or address is None:
        return _subscribe_form(site, offer, choices, line(written, 254), problems, status=400)
    if field(form, _TRAP):
        return _on_to("/subscribe/asked")
    host = request.client.host if request.client else ""
    asker = Asker(
        settings.signer.mark("address", address_key(address)),
        settings.signer.mark("network", network_of(host)),
        settings.limits,
    )
    if not site.archive.subscribers.ask(address, choices, site.clock(), asker):
        raise HTTPException(
            429, "Too many have asked from here within the hour. Try again later.", {"Retry-After": "3600"}
        )
    return _on_to("/subscribe/asked")


@router.get("/subscribe/asked")
def asked(site: TheSite) -> Response:
    _subscribing(site)
    return site.render(
        "subscribing.html",
        title="Look into your mailbox",
        lead="If that address can be written to, a mail is on its way. Open the link in it, and you are subscribed.",
        more=(
            "It may take a few minutes. If nothing comes, look among the junk mail, or see whether the address had a "
            "typing mistake.",
        ),
    )


def _subscribe_form(
    site: Site, offer: Offer, choices: Choices, address: str, problems: Sequence[str], status: int = 200
) -> Response:
    return site.render(
        "subscribe.html",
        title="Get mail",
        status=status,
        subscribing=site.settings.subscribing,
        offer=offer,
        choices=choices,
        address=address,
        problems=problems,
        weekdays=WEEKDAYS,
        trap=_TRAP,
        Frequency=Frequency,
    )


# --- saying yes -----------------------------------------------------------------------------------------------------


@router.get("/subscribe/confirm/{token}")
def confirm(site: TheSite, token: str) -> Response:
    claim = _claim(site, Purpose.CONFIRM, token)
    letter = site.archive.subscribers.asked(claim.handle, claim.number)
    if letter is None or claim.expired:
        return _outdated(site)
    subscriber = letter.subscriber
    if subscriber.settled_at is not None and subscriber.settled_at >= letter.created_at:
        if subscriber.state is SubscriberState.CONFIRMED:
            return _private(_on_to(_choices_url(site, claim.handle)))
        return _outdated(site)
    return _private(
        site.render(
            "subscribing.html",
            title="One click, and you are subscribed",
            lead=f"We would write to {masked(subscriber.address)} about this:",
            points=described(letter.choices, site.browse.service_names()),
            button="Yes, write to me",
            more=("You can change all of it, or leave, through links in each mail.",),
        )
    )


@router.post("/subscribe/confirm/{token}", dependencies=OURS)
def confirmed(site: TheSite, token: str) -> Response:
    claim = _claim(site, Purpose.CONFIRM, token)
    if claim.expired:
        return _outdated(site)
    done = site.archive.subscribers.confirm(claim.handle, claim.number, site.clock())
    if done is Confirmed.OUTDATED:
        return _outdated(site)
    return _private(_on_to(_choices_url(site, claim.handle, "confirmed")))


def _outdated(site: Site) -> Response:
    return _private(
        site.render(
            "subscribing.html",
            title="This link is used up",
            status=410,
            lead="It is more than a week old, or the subscription ended after it was sent. Ask for a new one: it takes a "
            "minute.",
            links=(("/subscribe", "Ask for a new one"),),
        )
    )


# --- one's own subscription -----------------------------------------------------------------------------------------


@router.get("/subscription/{token}")
def subscription(site: TheSite, token: str, said: str = "") -> Response:
    claim = _claim(site, Purpose.CHOICES, token)
    return _own(site, _subscriber(site, claim), _SAID.get(said, ""))


@router.post("/subscription/{token}", dependencies=OURS)
def change(site: TheSite, token: str, form: TheForm) -> Response:
    claim = _claim(site, Purpose.CHOICES, token)
    subscriber = _subscriber(site, claim)
    subscribers, handle, now = site.archive.subscribers, claim.handle, site.clock()
    said = ""
    match field(form, "do"):
        case "save":
            choices, problems = _choices(form, _offer(site, subscriber.choices))
            if problems:
                return _own(site, subscriber, "", problems, status=400)
            kept = {key for key in subscriber.muted if str(subscribers.terms_id(key)) in form.get("muted", ())}
            subscribers.choose(handle, choices, kept)
            said = "saved"
        case "pause":
            subscribers.pause(handle, paused=True)
            said = "paused"
        case "resume":
            subscribers.pause(handle, paused=False)
            said = "resumed"
        case "leave":
            return _left(site, handle, now)
        case "copy":
            subscribers.ask_copy(handle, now)
            said = "copy"
        case "download":
            return _download(site, handle)
        case "erase" if field(form, "sure"):
            subscribers.erase(handle)
            return _private(_erased(site))
        case "erase":
            said = "unsure"
        case _:
            raise HTTPException(400, "The form did not say what to do. Open the page again and use its buttons.")
    return _private(_on_to(_choices_url(site, handle, said)))


def _own(site: Site, subscriber: Subscriber, said: str, problems: Sequence[str] = (), status: int = 200) -> Response:
    muted = [(site.archive.subscribers.terms_id(key), key) for key in sorted(subscriber.muted)]
    answer = site.render(
        "subscription.html",
        title="Your subscription",
        status=status,
        subscriber=subscriber,
        state=subscriber.state.value,
        masked=masked(subscriber.address),
        points=described(subscriber.choices, site.browse.service_names()),
        choices=subscriber.choices,
        offer=_offer(site, subscriber.choices),
        muted=muted,
        names=site.browse.service_names(),
        said=said,
        problems=problems,
        weekdays=WEEKDAYS,
        Frequency=Frequency,
    )
    return _private(answer)


def _subscriber(site: Site, claim: Claim) -> Subscriber:
    found = site.archive.subscribers.by_handle(claim.handle)
    if found is None:
        raise HTTPException(410, "Nothing is kept under this link any more, and nothing is sent.")
    return found


def _download(site: Site, handle: str) -> Response:
    """What is kept, but for the address itself, which goes by mail alone: the link may have been forwarded."""
    kept = site.archive.subscribers.copy_of(handle) or {}
    body = json.dumps(kept | {"address": masked(kept.get("address", ""))}, ensure_ascii=False, indent=2)
    return _private(Response(body.encode(), media_type="application/json", headers=disposition("your-data.json")))


# --- leaving and muting, by one button ------------------------------------------------------------------------------


@router.get("/unsubscribe/{token}")
def unsubscribe(site: TheSite, token: str) -> Response:
    claim = _claim(site, Purpose.LEAVE, token)
    found = site.archive.subscribers.by_handle(claim.handle)
    if found is None or found.state is SubscriberState.LEFT:
        return _private(_gone(site))
    return _private(
        site.render(
            "subscribing.html",
            title="Unsubscribe?",
            lead=f"We would not write to {masked(found.address)} any more.",
            button="Unsubscribe",
            links=((_choices_url(site, claim.handle), "Rather get fewer mails"),),
        )
    )


@router.post("/unsubscribe/{token}")
def unsubscribed(site: TheSite, token: str) -> Response:
    """Leave, by the button or by a mail program's one click (RFC 8058), which says nothing of where it comes from.

    Whatever the body holds: the address is the proof, and nobody else has it. Never answers with a redirect.
    """
    claim = _claim(site, Purpose.LEAVE, token)
    return _left(site, claim.handle, site.clock())


def _left(site: Site, handle: str, now: datetime) -> Response:
    known = site.archive.subscribers.leave(handle, now)
    return _private(_gone(site, _choices_url(site, handle) if known else None))


def _gone(site: Site, choices_url: str | None = None) -> Response:
    return site.render(
        "subscribing.html",
        title="You are unsubscribed",
        lead="Nothing more comes to you from here, what was waiting included.",
        links=(
            *(((choices_url, "Erase what is kept about you"),) if choices_url else ()),
            ("/subscribe", "Subscribe again"),
        ),
    )


def _erased(site: Site) -> Response:
    return site.render(
        "subscribing.html",
        title="Erased",
        lead="Nothing about you is kept here any more, and nothing is sent. Links in old mails lead nowhere now.",
        more=("Backups that whoever runs this archive made before today may hold it for as long as they are kept.",),
    )


@router.get("/mute/{token}")
def mute(site: TheSite, token: str) -> Response:
    claim = _claim(site, Purpose.MUTE, token)
    subscriber = _subscriber(site, claim)
    key = site.archive.subscribers.document(claim.number)
    if key is None:
        raise HTTPException(410, "That document is not in this archive any more.")
    name = site.browse.service_names().get(key.service, key.service)
    return _private(
        site.render(
            "subscribing.html",
            title="Mute this document?",
            lead=f"We would tell {masked(subscriber.address)} no more of {line(name, 80)}: {line(key.type, 80)}.",
            button="Mute it",
            links=((_choices_url(site, claim.handle), "Choose something else"),),
        )
    )


@router.post("/mute/{token}", dependencies=OURS)
def muted(site: TheSite, token: str) -> Response:
    claim = _claim(site, Purpose.MUTE, token)
    _subscriber(site, claim)
    if site.archive.subscribers.mute(claim.handle, claim.number) is None:
        raise HTTPException(410, "That document is not in this archive any more.")
    return _private(_on_to(_choices_url(site, claim.handle, "muted")))


# --- what goes out --------------------------------------------------------------------------------------------------


def _choices_url(site: Site, handle: str, said: str = "") -> str:
    path = choices_path(_subscribing(site).signer.token(Purpose.CHOICES, handle))
    return f"{path}?said={said}" if said else path


def _on_to(path: str) -> Response:
    """To another page of ours: addresses are made here, never taken from what was sent."""
    return RedirectResponse(path, 303)


def _private(answer: Response) -> Response:
    """For its owner alone: kept by no cache and listed by no search engine."""
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Robots-Tag"] = "noindex"
    return answer
