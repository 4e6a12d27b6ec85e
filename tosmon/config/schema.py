"""What a configuration may hold: each section with its settings, their defaults and what they are for.

Frozen, and closed to keys that nobody knows. The descriptions are the ones of docs/configuration.md (a test compares
the two). Values are read by `tosmon.config.values`; files and folders become absolute here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    SecretStr,
    ValidationInfo,
    model_validator,
)

from tosmon import model
from tosmon.config import values

DEFAULT_INTERVAL = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Folders:
    """Where relative paths lead: what tosmon reads lies in `inputs`, what it writes in `data`."""

    inputs: Path
    data: Path


def _path(value: object, base: Path | None) -> Path:
    if isinstance(value, Path):
        path = value
    elif isinstance(value, str) and value.strip() and value.isprintable():
        path = Path(value.strip())
    else:
        values.expected("a file or folder name", value)
    try:
        path = path.expanduser()
    except RuntimeError:
        values.expected("a folder of a user who exists", value)
    return (base / path).resolve() if base is not None else path


def _input_path(value: object, info: ValidationInfo) -> Path:
    return _path(value, info.context.inputs if info.context else None)


def _data_path(value: object, info: ValidationInfo) -> Path:
    return _path(value, info.context.data if info.context else None)


def _archive(value: object, info: ValidationInfo) -> str:
    address = values.archive_url(value)
    start = "sqlite:///"
    return start + str(_data_path(address.removeprefix(start), info)) if address.startswith(start) else address


def _one_or_list(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


def _keyed(name: str, short: str | None = None) -> Callable[[object], object]:
    """Read `KEY: {…}` as `- name: KEY, …`, and `KEY: text` as `- name: KEY, short: text`."""

    def as_list(written: object) -> object:
        if not isinstance(written, Mapping):
            return written
        return [_with_key(name, short, key, body) for key, body in written.items()]

    return as_list


def _with_key(name: str, short: str | None, key: object, body: object) -> object:
    if body is None:
        return {name: key}
    if isinstance(body, Mapping):
        return {name: key, **body}
    if short is not None and isinstance(body, str | list):
        return {name: key, short: body}
    return body


Duration = Annotated[timedelta, PlainValidator(values.duration)]
Wait = Annotated[timedelta, PlainValidator(values.wait)]
Size = Annotated[int, PlainValidator(values.size)]
Url = Annotated[str, PlainValidator(values.url)]
Key = Annotated[str, PlainValidator(values.key)]
Line = Annotated[str, PlainValidator(values.line)]
Header = Annotated[str, PlainValidator(values.header)]
Language = Annotated[str, PlainValidator(values.language)]
Authority = Annotated[str, PlainValidator(values.authority)]
Address = Annotated[str, PlainValidator(values.address)]
Mailbox = Annotated[str, PlainValidator(values.mailbox)]
Selectors = Annotated[tuple[model.Selector, ...], PlainValidator(values.selectors)]
Moment = Annotated[datetime, PlainValidator(values.last_moment)]
Filters = Annotated[tuple[model.Filter, ...], PlainValidator(values.filters)]
InputPath = Annotated[Path, PlainValidator(_input_path)]
DataPath = Annotated[Path, PlainValidator(_data_path)]
ArchiveUrl = Annotated[str, PlainValidator(_archive)]
Tags = Annotated[tuple[Line, ...], BeforeValidator(_one_or_list)]
HookName = Annotated[str, PlainValidator(values.hook_name)]


class Section(BaseModel):
    """A part of the configuration. A key without a value counts as not written."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, written: object) -> object:
        if isinstance(written, Mapping):
            return {key: value for key, value in written.items() if value is not None}
        return written


# --- services and their terms ---------------------------------------------------------------------------------------


def _urls(value: object) -> object:
    return _one_or_list(value) or values.complain("expected a URL or a list of URLs, got an empty list")


def _one_source(value: object) -> object:
    return {"url": value} if isinstance(value, str) else value


class DeclaredSource(Section):
    """One URL of terms that combine several; its own settings stand instead of those of the terms."""

    url: Url = Field(description="Where the document is.")
    select: Selectors | None = Field(default=None, description="What to take from this URL.")
    remove: Selectors | None = Field(default=None, description="What to leave out of this URL.")
    filters: Filters | None = Field(default=None, description="Steps that mend this URL before extraction.")
    browser: bool | None = Field(default=None, description="Read this URL in a browser.")


class DeclaredForm(Section):
    """How a document was to be read until a day: for pages of that time, and when today's form finds nothing."""

    until: Moment = Field(description="The last day (or instant, in UTC) on which this form fitted.")
    documents: Annotated[
        tuple[Annotated[DeclaredSource, BeforeValidator(_one_source)], ...], BeforeValidator(_urls)
    ] = Field(alias="url", description="Where it was then: written as for the terms.")
    select: Selectors = Field(default=(), description="What was to be taken.")
    remove: Selectors = Field(default=(), description="What was to be left out of that.")
    filters: Filters = Field(default=(), description="Steps that mended the page, by name.")
    browser: bool = Field(default=False, description="Whether it was to be read in a browser.")


class DeclaredTerms(Section):
    """One document of a service."""

    type: Key = Field(description='What it is: "Terms of Service", "Privacy Policy", …')
    documents: Annotated[
        tuple[Annotated[DeclaredSource, BeforeValidator(_one_source)], ...], BeforeValidator(_urls)
    ] = Field(
        alias="url",
        description="Where it is: a URL, or a list of URLs (or of mappings with `url` and their own `select`, "
        "`remove`, `filters`, `browser`) that are read one after the other as one document.",
    )
    select: Selectors = Field(default=(), description="What to take. Without it tosmon finds the text by itself.")
    remove: Selectors = Field(default=(), description="What to leave out of that.")
    filters: Filters = Field(default=(), description="Steps that mend the page before extraction, by name.")
    interval: Wait | None = Field(default=None, description="How often to look; else as the service says.")
    tags: Tags = Field(default=(), description="Words to group by; those of the service are added.")
    browser: bool | None = Field(
        default=None, description="Read in a browser (extra `browser`); else as the service says."
    )
    language: Language | None = Field(
        default=None, description="The language the text must be in; else as the service says."
    )
    paused: bool | None = Field(default=None, description="Do not look for now; else as the service says.")
    earlier: tuple[DeclaredForm, ...] = Field(
        default=(), description="Forms that fitted the page in earlier times, for old pages and for bad days."
    )

    def form(self, browser: bool) -> model.Form:
        return model.Form(_sources(self, browser))

    def earlier_forms(self) -> tuple[model.Form, ...]:
        """In order of time; among forms of one instant the one written last was used last."""
        forms = (model.Form(_sources(form, form.browser), form.until) for form in self.earlier)
        return tuple(sorted(forms, key=lambda form: form.valid_until or datetime.max.replace(tzinfo=UTC)))


def _sources(declared: DeclaredTerms | DeclaredForm, browser: bool) -> tuple[model.SourceDocument, ...]:
    return tuple(
        model.SourceDocument(
            url=source.url,
            select=declared.select if source.select is None else source.select,
            remove=declared.remove if source.remove is None else source.remove,
            filters=declared.filters if source.filters is None else source.filters,
            browser=browser if source.browser is None else source.browser,
        )
        for source in declared.documents
    )


class DeclaredService(Section):
    """A platform, what it is called, and what holds for all its documents."""

    key: Key = Field(description="What it is known by for ever: in folders, feeds and links. Never change it.")
    name: Line | None = Field(default=None, description="What people call it, if that is not its key. May change.")
    formerly: Annotated[tuple[Key, ...], BeforeValidator(_one_or_list)] = Field(
        default=(), description="Keys that it had before: what is archived under them goes on under this one."
    )
    tags: Tags = Field(default=(), description="Words to group by, for all its documents.")
    interval: Wait | None = Field(
        default=None, description="How often to look at its documents; else `schedule.interval`."
    )
    browser: bool = Field(default=False, description="Read its documents in a browser.")
    language: Language | None = Field(default=None, description="The language its documents must be in.")
    paused: bool = Field(default=False, description="Do not look at its documents for now.")
    terms: Annotated[tuple[DeclaredTerms, ...], BeforeValidator(_keyed("type", "url"))] = Field(
        default=(), description="Its documents: a list, or a mapping from type to settings (or to just a URL)."
    )


# --- how tosmon works -----------------------------------------------------------------------------------------------


class Schedule(Section):
    """When to look."""

    interval: Wait = Field(
        default=DEFAULT_INTERVAL, description="How often to look at each document, unless it says otherwise."
    )
    confirm_after: Duration = Field(
        default=timedelta(minutes=10),
        description="How long to wait before the second look that confirms a change; 0s for none.",
    )
    unconfirmed_first: tuple[model.Severity, ...] = Field(
        default=(),
        description="Severities of which people are told at first sight, marked unconfirmed; corrected if need be.",
    )
    workers: int = Field(default=4, ge=1, le=64, description="How many documents to look at at once.")
    heartbeat: Url | None = Field(
        default=None, description="An address to call each minute while looks are made in time: a dead man's switch."
    )


class Politeness(Section):
    """How to behave towards the platforms."""

    contact: Header | None = Field(
        default=None, description="A URL or mail address that platforms can write to; sent along."
    )
    user_agent: Header | None = Field(
        default=None, description="What to call ourselves; else tosmon, its version, the contact."
    )
    pause: Duration = Field(
        default=timedelta(seconds=2), description="How long to wait between two requests to one host."
    )
    robots: bool = Field(default=True, description="Keep to robots.txt.")
    connect_timeout: Wait = Field(default=timedelta(seconds=10), description="How long to wait for a connection.")
    read_timeout: Wait = Field(default=timedelta(seconds=30), description="How long to wait for more of an answer.")
    total_timeout: Wait = Field(default=timedelta(minutes=2), description="How long a whole answer may take.")
    max_bytes: Size = Field(default=20_000_000, description="How large a page may be, unpacked.")
    max_redirects: int = Field(default=10, ge=0, le=50, description="How many redirects to follow.")
    allow_private_addresses: bool = Field(
        default=False, description="Fetch from loopback and private networks too. Leave it off on a server."
    )


class Feeds(Section):
    """What the feeds call themselves."""

    title: Line = Field(default="tosmon", description="The title of the feed of everything.")
    site_url: Url | None = Field(
        default=None,
        description="Where readers find the archive; links in feeds and mails lead there. Else the web address below.",
    )
    authority: Authority | None = Field(
        default=None,
        description="A host name of yours: ids of feed entries are made of it for ever, so the archive keeps the first "
        "one it is given. Else that of site_url.",
    )
    hub: Url | None = Field(default=None, description="A WebSub hub that tells readers of new entries at once.")


class Security(StrEnum):
    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


_SMTP_PORTS = {Security.STARTTLS: 587, Security.TLS: 465, Security.NONE: 25}


class Recipient(Section):
    """Someone who is told by mail, and of what. Without a filter: of everything."""

    address: Address = Field(description="The mail address.")
    severity: model.Severity = Field(
        default=model.Severity.LOW, description="From which severity on: high, medium or low."
    )
    topics: Tags = Field(default=(), description="Only alerts flagged with one of these topics.")
    services: Tags = Field(default=(), description="Only alerts of these services (their keys).")
    tags: Tags = Field(default=(), description="Only alerts of documents with one of these tags.")


def _one_recipient(value: object) -> object:
    return {"address": value} if isinstance(value, str) else value


class Email(Section):
    """Who is told by mail, through which server. The password comes from TOSMON_SMTP_PASSWORD or …_FILE alone."""

    host: Line = Field(description="The SMTP server.")
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        default=None, description="Its port; else 587 (starttls), 465 (tls) or 25 (none)."
    )
    security: Security = Field(
        default=Security.STARTTLS, description="starttls, tls, or none (a server on this machine)."
    )
    user: Line | None = Field(default=None, description="The name to log in with; without it tosmon does not log in.")
    sender: Mailbox = Field(alias="from", description="Whom the mails are from: an address, or `Name <address>`.")
    recipients: Annotated[
        tuple[Annotated[Recipient, BeforeValidator(_one_recipient)], ...], BeforeValidator(_one_or_list)
    ] = Field(default=(), description="Who is told: addresses, or mappings with `address` and filters.")
    sign_up: bool = Field(
        default=True, description="Let people subscribe on the web; else only `tosmon subscribe` adds an address."
    )
    timeout: Wait = Field(default=timedelta(seconds=30), description="How long to wait for the server.")
    per_minute: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="How many mails it takes in a minute, if it has a limit."
    )
    most_an_hour: Annotated[int, Field(ge=1)] = Field(
        default=20, description="Beyond so many alerts within an hour one recipient gets the rest in one mail."
    )
    ca_file: InputPath | None = Field(
        default=None, description="The certificate of its own authority, if it has one (PEM)."
    )
    password: SecretStr | None = Field(default=None, exclude=True, repr=False)

    @property
    def smtp_port(self) -> int:
        return self.port or _SMTP_PORTS[self.security]


class HookKind(StrEnum):
    WEBHOOK = "webhook"
    APPRISE = "apprise"


class Hook(Section):
    """A program or a chat that is told. Its secrets come from TOSMON_HOOK_<NAME>_SECRET and …_URL (or …_FILE) alone."""

    name: HookName = Field(description="What you call it: small letters, digits and hyphens.")
    kind: HookKind = Field(
        default=HookKind.WEBHOOK, description="webhook (a signed POST), or apprise (chats and phones; tosmon[hooks])."
    )
    url: Line | None = Field(
        default=None,
        description="Where to: http or https. A URL that holds a token, or is apprise's, belongs in the environment.",
    )
    severity: model.Severity = Field(
        default=model.Severity.LOW, description="From which severity on: high, medium or low."
    )
    topics: Tags = Field(default=(), description="Only alerts flagged with one of these topics.")
    services: Tags = Field(default=(), description="Only alerts of these services (their keys).")
    tags: Tags = Field(default=(), description="Only alerts of documents with one of these tags.")
    allow_private_addresses: bool = Field(
        default=False, description="Let it lead to loopback and private networks too."
    )
    secret: SecretStr | None = Field(default=None, exclude=True, repr=False)
    secret_url: SecretStr | None = Field(default=None, exclude=True, repr=False)

    @property
    def variable(self) -> str:
        """What its environment variables begin with."""
        return hook_variable(self.name)

    @property
    def address(self) -> str | None:
        """Where it leads, whichever way that was given; a secret."""
        return self.secret_url.get_secret_value() if self.secret_url else self.url


def hook_variable(name: str) -> str:
    """`news-room` as `TOSMON_HOOK_NEWS_ROOM`."""
    return f"TOSMON_HOOK_{name.upper().replace('-', '_')}"


class Web(Section):
    """Where the archive is browsed. The operator's token comes from TOSMON_WEB_TOKEN or …_FILE alone."""

    host: Line = Field(default="127.0.0.1", description="The address to listen on; 127.0.0.1 is this machine alone.")
    port: int = Field(default=8765, ge=0, le=65535, description="The port; 0 for any free one.")
    token: SecretStr | None = Field(default=None, exclude=True, repr=False)

    @property
    def url(self) -> str:
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{shown}:{self.port}"


class Config(Section):
    """A configuration that can be used, whole: every path absolute, every selector compiled."""

    services: Annotated[tuple[DeclaredService, ...], BeforeValidator(_keyed("key"))] = Field(
        default=(), description="The platforms to track: a list, or a mapping from key to settings."
    )
    declarations: Annotated[tuple[InputPath, ...], BeforeValidator(_one_or_list)] = Field(
        default=(), description="Folders with declarations of Open Terms Archive, tracked as they are."
    )
    tags: Tags = Field(default=(), description="Words that every document carries.")
    archive: ArchiveUrl = Field(
        default="archive.sqlite",
        description="The archive: a file name, sqlite:///FILE or postgresql://… (or TOSMON_ARCHIVE).",
    )
    snapshots: DataPath = Field(default=Path("snapshots"), description="The folder for pages as received.")
    public: DataPath = Field(default=Path("public"), description="The folder for feeds as files, for any static host.")
    rules: Annotated[tuple[InputPath, ...], BeforeValidator(_one_or_list)] = Field(
        default=(), description="Rule packs of your own (files or folders), beside those of tosmon."
    )
    schedule: Schedule = Field(default=Schedule(), description="When to look.")
    politeness: Politeness = Field(default=Politeness(), description="How to behave towards the platforms.")
    feeds: Feeds = Field(default=Feeds(), description="What the feeds call themselves.")
    email: Email | None = Field(default=None, description="Who is told by mail, through which server.")
    hooks: Annotated[tuple[Hook, ...], BeforeValidator(_keyed("name"))] = Field(
        default=(), description="Programs and chats that are told: a list, or a mapping from name to settings."
    )
    web: Web = Field(default=Web(), description="Where the archive is browsed.")

    @property
    def site_url(self) -> str:
        """Where links in feeds and mails lead, without a slash at the end."""
        return (self.feeds.site_url or self.web.url).rstrip("/")

    def terms(self) -> list[model.Terms]:
        """The documents of `services`, in the order written; those of `declarations` are read by a higher layer."""
        return [self._declared(service, terms) for service in self.services for terms in service.terms]

    def _declared(self, service: DeclaredService, terms: DeclaredTerms) -> model.Terms:
        browser = service.browser if terms.browser is None else terms.browser
        return model.Terms(
            key=model.TermsKey(service.key, terms.type),
            service_name=service.name or service.key,
            form=terms.form(browser),
            earlier_forms=terms.earlier_forms(),
            interval=terms.interval or service.interval or self.schedule.interval,
            tags=tuple(dict.fromkeys((*self.tags, *service.tags, *terms.tags))),
            language=terms.language or service.language,
            paused=service.paused if terms.paused is None else terms.paused,
        )


def doubles(config: Config) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Places of services and terms that were declared before, with what to do; letter case alone parts no folders."""
    seen_hooks: Counter[str] = Counter()
    for number, hook in enumerate(config.hooks):
        if seen_hooks[hook.name]:
            yield (
                ("hooks", number, "name"),
                f"there are two hooks called {hook.name}; what waits for them goes by the name",
            )
        seen_hooks[hook.name] += 1
    seen_services: Counter[str] = Counter()
    for number, service in enumerate(config.services):
        folded = service.key.casefold()
        if seen_services[folded]:
            yield ("services", number, "key"), f"{service.key} is declared twice; put its terms under one key"
        seen_services[folded] += 1
        seen_types: Counter[str] = Counter()
        for place, terms in enumerate(service.terms):
            folded = terms.type.casefold()
            if seen_types[folded]:
                yield (
                    ("services", number, "terms", place, "type"),
                    f"{service.key} has {terms.type} twice; list all its URLs under one `url`",
                )
            seen_types[folded] += 1


def sections() -> dict[str, type[Section]]:
    """Each section by the key it is written under, for the documentation and its test."""
    known: dict[str, Any] = {
        "": Config,
        "services[]": DeclaredService,
        "services[].terms[]": DeclaredTerms,
        "services[].terms[].url[]": DeclaredSource,
        "services[].terms[].earlier[]": DeclaredForm,
        "schedule": Schedule,
        "politeness": Politeness,
        "feeds": Feeds,
        "email": Email,
        "email.recipients[]": Recipient,
        "hooks[]": Hook,
        "web": Web,
    }
    return known
