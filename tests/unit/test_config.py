"""What a configuration may hold, and how it is told what is wrong with it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tosmon.config import Config, HookKind, InvalidConfig, config_from, find_config, load_config
from tosmon.config.editing import NewTerms, with_terms
from tosmon.config.problems import did_you_mean, spelled
from tosmon.config.schema import sections
from tosmon.config.written import read_yaml
from tosmon.errors import ConfigError
from tosmon.model import Filter, Form, Range, Severity, SourceDocument, TermsKey

ROOT = Path(__file__).parents[2]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def loaded(tmp_path: Path, text: str, **environment: str) -> Config:
    return load_config(written(tmp_path, text), environment)


def complaints(tmp_path: Path, text: str, **environment: str) -> list[str]:
    with pytest.raises(InvalidConfig) as caught:
        loaded(tmp_path, text, **environment)
    assert str(caught.value).split("\n") == [str(problem) for problem in caught.value.problems]
    return str(caught.value).split("\n")


def terms_with(setting: str) -> str:
    return (
        "services:\n  - key: Inkwell\n    terms:\n      - type: Terms of Service\n"
        f"        url: https://ink.example/tos\n        {setting}\n"
    )


# --- what can be said ---------------------------------------------------------------------------------------------


def test_example_configuration_loads() -> None:
    """The configuration that tosmon comes with tracks two documents of each of its two dozen platforms."""
    config = load_config(ROOT / "config.example.yaml", {})

    terms = config.terms()
    assert len(config.services) >= 20
    for service in config.services:
        types = [one.key.type for one in terms if one.key.service == service.key]
        assert types == ["Terms of Service", "Privacy Policy"]
    assert all(one.url.startswith("https://") for one in terms)


def test_example_configuration_is_the_one_that_init_writes() -> None:
    """The file in the repository and the one in the package are the same."""
    assert (ROOT / "config.example.yaml").read_bytes() == (ROOT / "tosmon/config/example.yaml").read_bytes()


def test_sleeping_lines_of_the_example_are_valid() -> None:
    """Each setting that the example shows in a comment can be woken as it stands."""
    text = (ROOT / "config.example.yaml").read_text(encoding="utf-8")
    woken = [line for line in text.split("\n") if not line.startswith(("#   - key: Example", "#     ", "#       "))]
    email = [line[2:] for line in text.split("\n") if line.startswith(("# email:", "# hooks:", "#   "))]
    email = email[next(number for number, line in enumerate(email) if line.startswith("email:")) :]

    config = config_from(read_yaml("\n".join([*woken, *email])).values, ROOT)

    assert config.email is not None
    assert config.email.recipients[1].severity is Severity.MEDIUM
    assert [hook.kind for hook in config.hooks] == [HookKind.WEBHOOK, HookKind.APPRISE]


def test_empty_configuration_tracks_nothing(tmp_path: Path) -> None:
    """A configuration may be empty: everything has a default."""
    config = loaded(tmp_path, "# nothing yet\nservices:\n")

    assert config.terms() == []
    assert config.schedule.interval == timedelta(hours=1)
    assert config.web.url == "http://127.0.0.1:8765" == config.site_url


def test_services_and_terms_may_be_mappings(tmp_path: Path) -> None:
    """`services` and `terms` are lists, or mappings from key and type; a URL alone will do."""
    as_lists = loaded(
        tmp_path,
        "services: [{key: Inkwell, terms: [{type: Terms of Service, url: 'https://ink.example/tos'}]}]",
    )
    as_mappings = loaded(tmp_path, "services: {Inkwell: {terms: {Terms of Service: https://ink.example/tos}}}")

    assert as_lists.terms() == as_mappings.terms()
    assert as_lists.terms()[0].key == TermsKey("Inkwell", "Terms of Service")


def test_terms_may_combine_several_urls_each_with_its_own_selection(tmp_path: Path) -> None:
    """A part's own `select`, `remove`, `filters` and `browser` stand instead of those of the terms."""
    config = loaded(
        tmp_path,
        """
services:
  - key: Inkwell
    browser: true
    terms:
      - type: Community Guidelines
        select: main
        remove: [nav, {start_after: h2, end_before: footer}]
        filters: [{removeQueryParams: [sid, 7]}, tidy]
        url:
          - https://ink.example/rules
          - {url: https://ink.example/art, select: ["#a", "#b"], remove: [], browser: false}
""",
    )

    outside = Range("h2", "footer", start_included=False, end_included=False)
    filters = (Filter("removeQueryParams", ("sid", "7")), Filter("tidy"))
    assert config.terms()[0].form.sources == (
        SourceDocument("https://ink.example/rules", ("main",), ("nav", outside), filters, browser=True),
        SourceDocument("https://ink.example/art", ("#a", "#b"), (), filters, browser=False),
    )


def test_ranges_include_or_leave_out_their_ends(tmp_path: Path) -> None:
    """`start_before` and `end_after` include the element, `start_after` and `end_before` leave it out."""
    config = loaded(tmp_path, terms_with("select: {start_before: h1, end_after: .last}"))

    assert config.terms()[0].form.sources[0].select == (Range("h1", ".last", True, True),)


def test_settings_go_from_all_to_service_to_terms(tmp_path: Path) -> None:
    """What is nearest to the document wins; tags add up."""
    config = loaded(
        tmp_path,
        """
tags: [all]
schedule: {interval: 2h}
services:
  - key: A
    tags: art
    interval: 30m
    language: de
    paused: true
    terms:
      - {type: T1, url: "https://a.example/1"}
      - {type: T2, url: "https://a.example/2", interval: 1d12h, tags: [art, own], language: en, paused: false}
  - {key: B, name: Bee, terms: [{type: T1, url: "https://b.example/1"}]}
""",
    )

    first, second, other = config.terms()
    assert (first.interval, first.tags, first.language, first.paused) == (
        timedelta(minutes=30),
        ("all", "art"),
        "de",
        True,
    )
    assert (second.interval, second.tags, second.language, second.paused) == (
        timedelta(hours=36),
        ("all", "art", "own"),
        "en",
        False,
    )
    assert (other.interval, other.tags, other.service_name) == (timedelta(hours=2), ("all",), "Bee")


def test_anchors_and_merges_can_be_used(tmp_path: Path) -> None:
    """YAML's own way of saying a thing once works."""
    config = loaded(
        tmp_path,
        """
services:
  - key: A
    terms:
      - &plain {type: T1, url: "https://a.example/1", interval: 3h}
      - {<<: *plain, type: T2, url: "https://a.example/2"}
""",
    )

    assert [terms.interval for terms in config.terms()] == [timedelta(hours=3)] * 2


@pytest.mark.parametrize(
    ("text", "length"),
    [("90s", 90), ("30m", 1800), ("12h", 43_200), ("1d", 86_400), ("1h30m", 5400), ("1.5h", 5400), ("2w", 1_209_600)],
)
def test_durations(tmp_path: Path, text: str, length: int) -> None:
    """Durations are numbers with s, m, h, d or w."""
    assert loaded(tmp_path, f"schedule: {{interval: {text}}}").schedule.interval == timedelta(seconds=length)


def test_sizes(tmp_path: Path) -> None:
    """Sizes are bytes, or numbers with kB, MB or GB."""
    for text, count in (("1500", 1500), ("20MB", 20_000_000), ("1.5 GB", 1_500_000_000), ("2kB", 2000)):
        assert loaded(tmp_path, f"politeness: {{max_bytes: {text}}}").politeness.max_bytes == count


# --- where things are ---------------------------------------------------------------------------------------------


def test_relative_paths_lead_to_the_folder_of_the_configuration(tmp_path: Path) -> None:
    """A configuration can be moved with all that belongs to it."""
    config = loaded(tmp_path, "declarations: ota\nrules: [mine, /etc/rules.yaml]\npublic: ../www\n")

    assert config.archive == f"sqlite:///{tmp_path}/archive.sqlite"
    assert config.snapshots == tmp_path / "snapshots"
    assert config.public == tmp_path.parent / "www"
    assert config.declarations == (tmp_path / "ota",)
    assert config.rules == (tmp_path / "mine", Path("/etc/rules.yaml"))


def test_archive_is_a_file_or_a_database(tmp_path: Path) -> None:
    """A file name is a SQLite file; database addresses stay as they are."""
    assert loaded(tmp_path, "archive: a/b.db").archive == f"sqlite:///{tmp_path}/a/b.db"
    assert loaded(tmp_path, "archive: sqlite:///b.db").archive == f"sqlite:///{tmp_path}/b.db"
    assert loaded(tmp_path, "archive: sqlite:////srv/b.db").archive == "sqlite:////srv/b.db"
    assert loaded(tmp_path, "archive: postgresql://me@db/tosmon").archive == "postgresql://me@db/tosmon"


def test_archive_may_come_from_the_environment(tmp_path: Path) -> None:
    """A database address holds a password, so it need not stand in the file."""
    config = loaded(tmp_path, "archive: here.db", TOSMON_ARCHIVE="postgresql://me:secret@db/tosmon")

    assert config.archive == "postgresql://me:secret@db/tosmon"


def test_own_configuration_writes_into_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own configuration (XDG) is read in its folder, and writes into the XDG data folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "cfg"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "cfg/tosmon").mkdir(parents=True)

    config = loaded(tmp_path / "cfg/tosmon", "rules: mine")

    assert config.snapshots == tmp_path / "data/tosmon/snapshots"
    assert config.rules == (tmp_path / "cfg/tosmon/mine",)


def test_configuration_is_looked_for_here_and_then_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--config wins, then TOSMON_CONFIG, then ./config.yaml, then the user's own; without any, it says what to do."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "cfg"))
    here, home, named = tmp_path / "here", tmp_path / "cfg/tosmon", tmp_path / "named.yaml"

    with pytest.raises(ConfigError, match="tosmon init"):
        find_config(None, here, {})
    with pytest.raises(ConfigError, match="no such configuration"):
        find_config(named, here, {})
    for folder in (here, home):
        folder.mkdir(parents=True)
        written(folder, "")
    named.touch()
    assert find_config(named, here, {"TOSMON_CONFIG": "other"}) == named
    assert find_config(None, here, {"TOSMON_CONFIG": str(named)}) == named
    assert find_config(None, here, {}) == here / "config.yaml"
    assert find_config(None, tmp_path / "elsewhere", {}) == home / "config.yaml"


# --- secrets ------------------------------------------------------------------------------------------------------

EMAIL = "email: {host: mail.example, from: tosmon <t@ink.example>, recipients: [a@ink.example]}"


def test_password_comes_from_the_environment(tmp_path: Path) -> None:
    """TOSMON_SMTP_PASSWORD, or the file that TOSMON_SMTP_PASSWORD_FILE names, without its last line end."""
    (tmp_path / "secret").write_text("s3cret \n")

    direct = loaded(tmp_path, EMAIL, TOSMON_SMTP_PASSWORD="s3cret ").email
    from_file = loaded(tmp_path, EMAIL, TOSMON_SMTP_PASSWORD_FILE=str(tmp_path / "secret")).email

    for email in (direct, from_file):
        assert email is not None and email.password is not None
        assert email.password.get_secret_value() == "s3cret "


def test_password_is_never_shown(tmp_path: Path) -> None:
    """Neither printing a configuration nor turning it into plain values shows a password."""
    config = loaded(tmp_path, EMAIL, TOSMON_SMTP_PASSWORD="s3cret")

    assert "s3cret" not in repr(config) + str(config) + str(config.model_dump())


def test_password_in_the_file_is_refused(tmp_path: Path) -> None:
    """A secret does not belong into a file that people copy around; the complaint does not repeat it."""
    text = "email: {host: h, from: t@ink.example, password: s3cret}"

    assert complaints(tmp_path, text) == [
        "email.password: a secret; take it out and set TOSMON_SMTP_PASSWORD or TOSMON_SMTP_PASSWORD_FILE "
        "in the environment"
    ]


def test_unreadable_password_file_is_named(tmp_path: Path) -> None:
    """A secret that cannot be read stops tosmon before it sends anything without it."""
    missing = tmp_path / "none"

    assert complaints(tmp_path, EMAIL, TOSMON_SMTP_PASSWORD_FILE=str(missing)) == [
        f"TOSMON_SMTP_PASSWORD_FILE: cannot read {missing}: No such file or directory"
    ]
    assert complaints(tmp_path, EMAIL, TOSMON_SMTP_PASSWORD="a", TOSMON_SMTP_PASSWORD_FILE="b") == [
        "TOSMON_SMTP_PASSWORD: set either TOSMON_SMTP_PASSWORD or TOSMON_SMTP_PASSWORD_FILE, not both"
    ]


def test_refused_archive_is_told_without_its_password(tmp_path: Path) -> None:
    """A complaint about a database address does not print the password in it."""
    assert complaints(tmp_path, "archive: mysql://me:s3cret@db/x") == [
        "archive: expected a file name, sqlite:///FILE or postgresql://…, got mysql://…"
    ]


# --- what is wrong ------------------------------------------------------------------------------------------------


def test_complaint_names_place_and_fix(tmp_path: Path) -> None:
    """The place is spelled as a person would look for it."""
    text = """
services:
  - {key: A, terms: []}
  - {key: B}
  - key: C
    terms:
      - {type: Terms of Service, url: "https://c.example/tos", select: 3}
"""
    assert complaints(tmp_path, text) == ["services[2].terms[0].select: expected a CSS selector or a list, got 3"]


def test_all_complaints_come_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Nobody mends a configuration one start at a time."""
    text = """
services:
  A:
    terms:
      Terms of Service: ftp://a.example
      Privacy Policy: {url: ["https://a.example", {url: "https://u:p@a.example"}], slect: main}
  B:
    terms:
      - {type: Imprint, url: https://b.example, select: [main, "div["], interval: 5 parsecs}
      - {url: https://b.example, paused: maybe}
schedule: {workers: 0, confirm-after: 3m}
email: {host: h, security: ssl, recipients: [a@b.example, b, "=?utf-8?q?v?=@b.c", {address: c@d.example, severity: worst}]}
web: 80
serivces: []
"""
    assert complaints(tmp_path, text) == [
        'services.A.terms["Terms of Service"]: expected an http or https address, got "ftp://a.example"',
        'services.A.terms["Privacy Policy"].url[1].url: expected an address without user name and password',
        'services.A.terms["Privacy Policy"].slect: unknown setting; did you mean select?',
        'services.B.terms[0].select[1]: expected a CSS selector, got "div[" '
        "(Malformed attribute selector at position 3)",
        'services.B.terms[0].interval: expected a duration such as 30m, 12h or 1d, got "5 parsecs"',
        "services.B.terms[1].type: missing; add what it is",
        'services.B.terms[1].paused: expected true or false, got "maybe"',
        "schedule.workers: expected 1 or more, got 0",
        "schedule.confirm-after: unknown setting; did you mean confirm_after?",
        'email.security: expected starttls, tls or none, got "ssl"',
        "email.from: missing; add whom the mails are from",
        'email.recipients[1]: expected an e-mail address, got "b"',
        'email.recipients[2]: expected an e-mail address, got "=?utf-8?q?v?=@b.c"',
        'email.recipients[3].severity: expected high, medium or low, got "worst"',
        "web: expected settings (a mapping), got 80",
        "serivces: unknown setting; did you mean services?",
    ]


def test_complaint_knows_its_line(tmp_path: Path) -> None:
    """The command line can point at the line to mend."""
    with pytest.raises(InvalidConfig) as caught:
        loaded(tmp_path, "web:\n  port: 1\n  prot: 2\n")

    assert [problem.line for problem in caught.value.problems] == [3]


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("select: ''", 'select: expected a CSS selector, got "" (Expected a selector at position 0)'),
        ("select: [main, [nav]]", "select[1]: expected a CSS selector or a range, got a list"),
        ("select: {start_before: h1}", "select: expected one of start_before and start_after with one of end_before"),
        ("select: {startBefore: h1}", "select: startBefore: unknown setting; did you mean start_before?"),
        ("remove: {start_after: '..', end_after: p}", 'remove: expected a CSS selector, got ".."'),
        ("interval: 5", "interval: expected a duration such as 30m, 12h or 1d, got 5"),
        ("interval: 0s", 'interval: expected a duration of at least 1s, got "0s"'),
        ("interval: 99999d", 'interval: expected a duration of at most a year, got "99999d"'),
        ("language: english!", 'language: expected a language code such as en or pt-BR, got "english!"'),
        ("filters: [3]", "filters[0]: expected the name of a filter, or its name with a list of texts, got 3"),
        ("tags: [3]", "tags[0]: expected text, got 3"),
    ],
)
def test_bad_settings_of_terms(tmp_path: Path, setting: str, complaint: str) -> None:
    """Each wrong value is told with what was expected."""
    (told,) = complaints(tmp_path, terms_with(setting))

    assert told.startswith(f"services[0].terms[0].{complaint}")


@pytest.mark.parametrize(
    "address",
    [
        "ftp://a.example/",
        "file:///etc/passwd",
        "//a.example/",
        "https://",
        "https://a.example/a b",
        "http://inside\\\\@outside/",
        "https://a.example:port/",
        "https://me:secret@a.example/",
        "https://a.example/\\x1b",
        "javascript:alert(1)",
    ],
)
def test_only_plain_web_addresses_are_fetched(tmp_path: Path, address: str) -> None:
    """Addresses that are no web page, or that two readers could read differently, are refused."""
    text = f'services: [{{key: A, terms: [{{type: T, url: "{address}"}}]}}]'

    (told,) = complaints(tmp_path, text)

    assert told.startswith("services[0].terms[0].url: expected an")


@pytest.mark.parametrize("key", ["a/b", "..", ".hidden", "a\\\\b", "a\\nb", " ", "x" * 101, "a\\u202eb"])
def test_keys_cannot_leave_their_folder(tmp_path: Path, key: str) -> None:
    """Keys and types name folders and feeds: no slashes, no control characters, no dot in front."""
    for text in (
        f'services: [{{key: "{key}"}}]',
        f'services: [{{key: A, terms: [{{type: "{key}", url: "https://a.example"}}]}}]',
    ):
        (told,) = complaints(tmp_path, text)
        assert "expected a name" in told


def test_number_as_key_wants_quotes(tmp_path: Path) -> None:
    """A platform called 500 is written in quotes."""
    assert complaints(tmp_path, "services: [{key: 500}]") == [
        'services[0].key: expected a name, got 500; write it in quotes: "500"'
    ]


def test_double_services_and_terms_are_refused(tmp_path: Path) -> None:
    """A document is declared once; letter case alone makes no second one, for folders may not tell them apart."""
    text = """
services:
  - key: Inkwell
    terms:
      - {type: Terms of Service, url: "https://a.example/1"}
      - {type: terms of service, url: "https://a.example/2"}
  - key: INKWELL
"""
    assert complaints(tmp_path, text) == [
        "services[0].terms[1].type: Inkwell has terms of service twice; list all its URLs under one `url`",
        "services[1].key: INKWELL is declared twice; put its terms under one key",
    ]


def test_header_injection_is_refused(tmp_path: Path) -> None:
    """What ends up in a header is one line."""
    text = """
politeness: {contact: "me\\r\\nX-Evil: 1"}
email:
  host: h
  from: "t@ink.example\\r\\nBcc: x@ink.example"
  recipients: ["a@ink.example\\nBcc: x@ink.example", "a@ink.example, b@ink.example"]
"""
    assert [told.split(":")[0] for told in complaints(tmp_path, text)] == [
        "politeness.contact",
        "email.from",
        "email.recipients[0]",
        "email.recipients[1]",
    ]


# --- YAML that is none, or too much -------------------------------------------------------------------------------


def test_broken_yaml_is_told_with_its_line(tmp_path: Path) -> None:
    """A syntax error names the line."""
    (told,) = complaints(tmp_path, "web:\n  port: [1\nfeeds: {}\n")

    assert told.startswith("line ") and "not YAML" in told


def test_keys_written_twice_are_refused(tmp_path: Path) -> None:
    """YAML would silently keep one of the two."""
    assert complaints(tmp_path, "web:\n  port: 1\n  host: x\n  port: 2\nweb: {}\n") == [
        "web.port: written twice, on lines 2 and 4; keep one",
        "web: written twice, on lines 1 and 5; keep one",
    ]


def test_tags_that_build_objects_are_refused(tmp_path: Path) -> None:
    """A configuration is data and runs nothing."""
    (told,) = complaints(tmp_path, "web: !!python/object/apply:os.system [echo]")

    assert told.startswith("line 1: not YAML: could not determine a constructor")


def test_second_document_is_refused(tmp_path: Path) -> None:
    """One file is one configuration."""
    assert complaints(tmp_path, "web: {}\n---\nweb: {}\n") == ["line 2: not YAML: but found another document"]


def test_aliases_cannot_blow_up(tmp_path: Path) -> None:
    """Thirty lines that stand for 10^30 values are refused without being written out."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 10)}]" for number in range(1, 30)]

    (told,) = complaints(tmp_path, "\n".join(lines))

    assert told.startswith("the file: expected at most 200,000 values, aliases (*) written out")


def test_alias_inside_itself_is_refused(tmp_path: Path) -> None:
    """A list that holds itself has no end."""
    assert complaints(tmp_path, "tags: &a [*a]") == ["line 1: an alias (*) stands inside its own anchor"]


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    """Ten thousand open brackets are an error, not a crash."""
    assert complaints(tmp_path, "[" * 10_000) == ["the file: not usable: brackets or lists are nested too deeply"]


def test_huge_file_is_refused(tmp_path: Path) -> None:
    """A file that cannot be a configuration is not read whole."""
    (told,) = complaints(tmp_path, "#" * (4 * 1024 * 1024 + 1))

    assert told.startswith("the file: expected at most 4,194,304 characters")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """A configuration is UTF-8; a mark in front (BOM) is fine."""
    path = tmp_path / "config.yaml"
    path.write_bytes(b"tags: [\xff]")
    with pytest.raises(InvalidConfig, match="expected UTF-8 text; byte 7"):
        load_config(path, {})

    path.write_bytes(b"\xef\xbb\xbftags: [a]")
    assert load_config(path, {}).tags == ("a",)


def test_configuration_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    """A list, or a word, is no configuration."""
    assert complaints(tmp_path, "- a") == ["the file: expected settings (a mapping), got a list"]
    assert complaints(tmp_path, "hello") == ['the file: expected settings (a mapping), got "hello"']


def test_missing_file_says_so(tmp_path: Path) -> None:
    """An unreadable file is one clear line."""
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_config(tmp_path / "none.yaml", {})


# --- documentation ------------------------------------------------------------------------------------------------


def test_each_setting_is_documented() -> None:
    """docs/configuration.md has a row for each setting, with what it is for."""
    text = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")

    for section, model in sections().items():
        for name, field in model.model_fields.items():
            if not field.exclude:
                place = f"{section}.{field.alias or name}".lstrip(".")
                assert f"| `{place}` |" in text, place
                assert field.description and field.description in text, place


def test_unknown_setting_without_a_near_one_lists_what_there_is() -> None:
    """When nothing is near, all are named."""
    assert did_you_mean("zzz", ["port", "host"]) == "unknown setting; expected one of host, port"


def test_places_with_spaces_are_quoted() -> None:
    """A place can be read even when its keys hold spaces."""
    assert spelled(("services", "A b", "terms", 0)) == 'services["A b"].terms[0]'


# --- adding a document --------------------------------------------------------------------------------------------

SOURCE = SourceDocument("https://ink.example/privacy?a=b#c", ("main > p", "#x"))
NEW = NewTerms("Inkwell", "Privacy Policy", Form((SOURCE,)))
NEW_LINES = ["type: Privacy Policy", 'url: "https://ink.example/privacy?a=b#c"', 'select: ["main > p", "#x"]']


def added_lines(before: str, after: str) -> list[str]:
    """The lines that were inserted, after a check that no other line was touched."""
    old, new = before.rstrip("\n").split("\n"), after.rstrip("\n").split("\n")
    inserted = []
    rest = iter(new)
    for line in old if before else []:
        for candidate in rest:
            if candidate == line:
                break
            inserted.append(candidate)
        else:
            raise AssertionError(f"lost: {line}")
    return inserted + list(rest)


def test_adding_to_the_example_touches_no_other_line() -> None:
    """A new service comes after the last one, before the comments of the next section, in a list like the others."""
    before = (ROOT / "config.example.yaml").read_text(encoding="utf-8")

    after = with_terms(before, [NEW])

    inserted = ["  - key: Inkwell", "    terms:", *[("      - ", "        ")[n > 0] + NEW_LINES[n] for n in range(3)]]
    block = "\n" + "\n".join(inserted) + "\n"
    assert after.count(block) == 1
    assert after.replace(block, "") == before
    lines = after.split("\n")
    assert lines.index("  - key: Inkwell") < lines.index("# tags: []")
    assert len(config_from(read_yaml(after).values, ROOT).terms()) == 49


@pytest.mark.parametrize(
    "before",
    [
        "",
        "# mine\n",
        "services:\n",
        "services:   # nothing yet\nweb: {port: 1}\n",
        "web: {port: 1}",
        "services:\n- key: Other\n  terms: []\nweb: {port: 1}\n",
        "services:\n  - key: Other\n",
        "services:\n  - {key: Other}\n\n# the end\n",
        "services:\n  Other:\n    terms: {A: https://a.example}\n# the end\n",
        "services:\n  - key: Inkwell\n    tags: [a]\n# the end\nweb: {port: 1}\n",
        "services:\n  - key: Inkwell # here\n    terms:\n    - {type: A, url: https://a.example}\n    tags: b\n\nweb: {}\n",
        "services:\n  - key: Inkwell\n    terms:\n      - type: A\n        url:\n          - https://a.example\n  - key: B",
        "services:\n  Inkwell:\n    terms:\n      A: https://a.example\n      B:\n        url: https://b.example\n# x\n",
        "services:\n  Inkwell:\n    tags: a\nweb: {}\n",
        "services:\n  - key: Inkwell\n    terms:\n      - type: A\n        url: >-\n          https://a.example\n\nweb: {}",
        "services:\r\n  - key: Other\r\n",
    ],
)
def test_documents_can_be_added_to_what_people_write(before: str) -> None:
    """Lists, mappings, comments, no service yet, a service that is there: one document more, nothing else touched."""
    count = len(config_from(read_yaml(before).values, ROOT).terms())

    after = with_terms(before, [NEW])

    assert added_lines(before, after)
    terms = config_from(read_yaml(after).values, ROOT).terms()
    assert len(terms) == count + 1
    (new,) = [one for one in terms if one.key == TermsKey("Inkwell", "Privacy Policy")]
    assert new.form == NEW.form


@pytest.mark.parametrize(
    "before", ["{services: []}", "services: [{key: A}]", "services: []", "a: &a []\nservices: *a\n"]
)
def test_lines_to_add_by_hand_are_shown_where_tosmon_cannot(before: str) -> None:
    """A configuration in an unusual form is left alone, and the person is told what to write."""
    with pytest.raises(ConfigError, match="add by hand:\n  services:\n    - key: Inkwell\n      terms:\n"):
        with_terms(before, [NEW])


def test_values_are_quoted_where_yaml_would_misread_them() -> None:
    """Names that mean something to YAML stay names."""
    form = Form((SourceDocument("https://a.example/", browser=True),))
    new = NewTerms("500", "yes", form, name="It's: #1", tags=("a, b", "c"))

    (terms,) = config_from(read_yaml(with_terms("", [new])).values, ROOT).terms()

    assert (terms.key, terms.service_name, terms.tags) == (TermsKey("500", "yes"), "It's: #1", ("a, b", "c"))
    assert terms.form.sources[0].browser
