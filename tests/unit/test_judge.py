"""Judging: what clauses say, what a change does to it, and how it is told."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tosmon.clauses import split
from tosmon.compare import compare
from tosmon.judge import explain, findings, judge, load_rules
from tosmon.judge.rules import rules_from
from tosmon.model import Clause, ClauseKind, Direction, Flag, Judgement, Severity

RULES = load_rules()
SHARED = Path(__file__).parents[3] / "shared" / "data"


def judged(before: str, after: str, *, service: str = "Inkwell", type: str = "Terms of Service") -> Judgement:
    return judge(compare(split(before), split(after)), RULES, service_name=service, type=type)


def flag(judgement: Judgement, topic: str) -> Flag:
    (found,) = (flag for flag in judgement.flags if flag.topic == topic)
    return found


def document(*paragraphs: str) -> str:
    frame = (
        "# Terms of Service",
        "Welcome. These terms are an agreement between you and the company that runs the platform.",
        *paragraphs,
        "You must be at least sixteen years old to open an account, and you look after your password.",
        "The courts at our seat decide, unless the law of your country says otherwise.",
    )
    return "\n\n".join(frame)


LICENCE = (
    "By posting content you grant us a worldwide, non-exclusive, royalty-free licence to use, copy and display it."
)
PROMISE = "We will never use your content to train artificial intelligence models."
TRAINING = "We may use your content to train our machine learning models."
OPT_OUT = "You can opt out of the training of AI models in your settings."


# --- findings ----------------------------------------------------------------------------------------------------


def test_quote_is_an_exact_substring_under_markup() -> None:
    """Markdown, links and curly quotes are read through, and quoted as they stand."""
    text = "We **don’t** use [your content](https://example.org/a_(b)) to _train_ our AI models. We like tea."

    (finding,) = findings(Clause(text), RULES)

    assert finding.quote == text[finding.start : finding.end]
    assert finding.quote == "We **don’t** use [your content](https://example.org/a_(b)) to _train_ our AI models."
    assert finding.stance == "may_not"


def test_list_item_is_read_with_the_sentence_above_it() -> None:
    """The verb of a list stands in its introduction."""
    item = Clause("reproduce and adapt your work;", "- ", kind=ClauseKind.ITEM, level=1)

    grants = findings(item, RULES, stem="You grant us the right to:")
    forbids = findings(Clause("copy our software;"), RULES, stem="You may not:")

    assert [(f.topic, f.stance) for f in grants] == [("content_license", "grants")]
    assert [(f.topic, f.stance) for f in forbids] == [("service_license", "may_not")]


def test_headings_and_titles_say_nothing() -> None:
    """A table of contents announces a licence, but grants none."""
    assert findings(Clause("Licence You Grant to Us", kind=ClauseKind.HEADING, level=2), RULES) == ()
    assert findings(Clause("**Training of AI Models With Your Content**"), RULES) == ()


def test_name_of_a_maker_is_no_talk_of_ai() -> None:
    """A company called Quill AI does not speak of AI whenever it names itself."""
    assert findings(Clause("Quill AI will answer your complaint within thirty days."), RULES) == ()
    assert findings(Clause("Quill AI uses AI models to answer your complaint."), RULES) != ()


def test_turn_of_the_sentence_ends_a_negation() -> None:
    """What is denied before "but" is not denied after it."""
    (finding,) = findings(Clause("We do not sell your data, but we may use it to train our AI models."), RULES)

    assert (finding.topic, finding.stance) == ("ai_training", "may")


def test_finding_can_be_explained() -> None:
    """Rule, words and reason of each finding can be shown."""
    (told,) = explain(Clause("Unless you opt out, we use your drawings to train our AI models."), RULES)

    assert told.finding.stance == "may_unless_opt_out"
    assert told.words == "train our AI models"
    assert told.stance_words == "opt out"
    assert told.why


@given(st.text(alphabet="We traincotelspy.,;:'’\n*[]()_ \\AIäß“ﬁ\u00a0\u200b", max_size=200))
def test_any_text_is_read_without_harm(text: str) -> None:
    """Whatever a page holds, each quote is a substring of it."""
    padded = f"{text} We may train our AI models on your content. {text}"
    for finding in findings(Clause(padded), RULES):
        assert padded[finding.start : finding.end] == finding.quote != ""


# What each rule must be right about on clauses of invented platforms, per topic: the share of clauses where
# everything said is found, of those where anything is said or found.
RIGHT = {
    "ai_training": 0.85,
    "content_license": 0.80,
    "ai_restriction": 0.85,
    "service_license": 0.80,
    "ai_other": 0.75,
}


CLAUSES = [
    entry
    for name in ("judge_clauses.yaml", "judge_clauses_fresh.yaml")
    for entry in YAML(typ="safe", pure=True).load(Path(__file__).with_name(name))
]


def _said_on(topic: str) -> list[tuple[str, set[str], set[str]]]:
    found = []
    for entry in CLAUSES:
        told = {
            " ".join(part for part in (finding.topic, finding.actor, finding.stance) if part)
            for finding in findings(Clause(entry["text"]), RULES)
        }
        wanted = {said for said in entry["says"] if said.split()[0] == topic}
        got = {said for said in told if said.split()[0] == topic}
        if wanted or got:
            found.append((entry["text"], wanted, got))
    return found


def test_quotes_of_all_written_clauses_are_exact() -> None:
    """A quote stands in its clause letter by letter, whatever the clause says."""
    for entry in CLAUSES:
        for finding in findings(Clause(entry["text"]), RULES):
            assert entry["text"][finding.start : finding.end] == finding.quote


def test_our_packs_compile() -> None:
    """Every pattern of every pack of ours is one that RE2 takes: at load they are taken on trust."""
    folder = Path(__file__).parents[2] / "tosmon" / "judge" / "packs"
    ours = sorted(folder.glob("*.yaml"))

    assert rules_from([(str(file), file.read_text("utf-8")) for file in ours]).rules


@pytest.mark.parametrize("topic", sorted(RIGHT))
def test_clauses_of_other_drafters_are_read(topic: str) -> None:
    """Clauses of invented platforms say what their drafter meant, and their near misses say nothing."""
    said = _said_on(topic)
    missed = [f"{text}\n    means {sorted(wanted)}, read {sorted(got)}" for text, wanted, got in said if wanted != got]

    assert 1 - len(missed) / len(said) >= RIGHT[topic], "\n".join([f"{len(missed)} of {len(said)}", *missed])


# --- flags -------------------------------------------------------------------------------------------------------


def test_new_permission_is_worse() -> None:
    """The provider may train on people's work, and could not before."""
    judgement = judged(document(LICENCE), document(LICENCE, TRAINING))

    assert [(f.topic, f.direction) for f in judgement.flags] == [("ai_training", Direction.WORSE)]
    assert judgement.severity is Severity.HIGH
    assert judgement.headline == "Inkwell Terms of Service: may now train AI on your content"
    assert flag(judgement, "ai_training").after[0].text == TRAINING


def test_removed_promise_is_worse_though_no_word_is_new() -> None:
    """A protection that vanishes ranks with a new permission."""
    judgement = judged(document(LICENCE, PROMISE), document(LICENCE))

    training = flag(judgement, "ai_training")
    assert training.direction is Direction.WORSE
    assert training.before[0].text == PROMISE
    assert training.after == ()
    assert "no longer promises not to train AI on your content" in judgement.headline


def test_opt_out_gained_is_better_and_lost_is_worse() -> None:
    """Where training was allowed anyway, a way out is a gain."""
    without, with_ = document(TRAINING), document(TRAINING, OPT_OUT)

    assert flag(judged(without, with_), "ai_training").direction is Direction.BETTER
    assert flag(judged(with_, without), "ai_training").direction is Direction.WORSE


def test_wider_licence_is_worse_and_says_by_what() -> None:
    """Scope added to a licence is told by its adjectives."""
    wider = LICENCE.replace("royalty-free", "royalty-free, perpetual, irrevocable").replace(
        "display it", "display it for any purpose"
    )

    judgement = judged(document(LICENCE), document(wider))

    assert flag(judgement, "content_license").direction is Direction.WORSE
    assert "licence to your content now for any purpose, perpetual, irrevocable" in judgement.headline


def test_narrower_licence_is_better() -> None:
    """A licence that loses its scope is better for people."""
    wider = LICENCE.replace("worldwide", "worldwide, perpetual, transferable")

    assert flag(judged(document(wider), document(LICENCE)), "content_license").direction is Direction.BETTER


@pytest.mark.parametrize(
    "after",
    [
        document(LICENCE.replace("licence", "license"), TRAINING),
        document(TRAINING, LICENCE),
        document(LICENCE, TRAINING).replace("sixteen", "eighteen"),
        document(LICENCE, TRAINING, LICENCE, TRAINING),
        document("Contents", "[How We Train AI Models](#ai)", LICENCE, TRAINING),
    ],
    ids=["spelling", "moved", "elsewhere", "held twice", "table of contents"],
)
def test_change_that_alters_no_meaning_has_no_flag(after: str) -> None:
    """Spelling, order, copies and lists of contents raise no flag."""
    assert judged(document(LICENCE, TRAINING), after).flags == ()


def test_clause_held_twice_is_flagged_once() -> None:
    """Terms that a page holds by region are quoted once."""
    judgement = judged(
        document(LICENCE), document(LICENCE, TRAINING, "## For Europe", TRAINING.replace("our", "our own"))
    )

    assert len(flag(judgement, "ai_training").after) == 1


def test_renamed_company_is_no_new_licence() -> None:
    """A company under a new name holds the licence it held."""
    before = document(
        "By posting you grant Inkwell Ltd a worldwide licence to use your content on the Inkwell service."
    )

    assert judged(before, before.replace("Inkwell", "Quillhouse")).flags == ()


def test_announced_terms_state_their_date() -> None:
    """The headline ends with the day from which the terms apply."""
    after = document("These terms take effect on May 3, 2026.", LICENCE, TRAINING)

    judgement = judged(document(LICENCE), after)

    assert judgement.effective_date == date(2026, 5, 3)
    assert judgement.headline.endswith("; from 3 May 2026")


def test_change_without_flags_is_told_honestly() -> None:
    """Where nothing on people's rights changed, that is what is said."""
    judgement = judged(document(LICENCE), document(LICENCE).replace("sixteen", "eighteen"))

    assert judgement.substantive
    assert judgement.severity is Severity.LOW
    assert judgement.headline == "Inkwell Terms of Service: 1 clause reworded in “Terms of Service”"
    assert judgement.summary == "1 clause reworded in “Terms of Service”; no effect on your content found."


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("We keep 5 per cent of each ticket.", "We keep 8 per cent of each ticket.", "5 → 8 per cent"),
        ("| Concert | 5% | 0.50 crowns |", "| Concert | 8% | 0.50 crowns |", "5 → 8%"),
        ("A refund costs $5.00 or €4.", "A refund costs $7.50 or €4.", "$5.00 → $7.50"),
        ("It is paid from EUR 20 on.", "It is paid from EUR 50 on.", "EUR 20 → EUR 50"),
        ("It is paid from twenty crowns on.", "It is paid from fifty crowns on.", "twenty → fifty crowns"),
    ],
)
def test_amounts_that_changed_are_the_headline(before: str, after: str, told: str) -> None:
    """Money is told in the words of the texts, under its heading; the date line of the document does not count."""
    frame = (
        "# Terms\n\nLast updated: {}\n\n## Fees\n\n{}\n\nEverything else about our fees stays as it has been before."
    )

    judgement = judged(frame.format("3 May 2026", before), frame.format("4 June 2026", after))

    assert judgement.headline == f"Inkwell Terms of Service: “Fees”: {told}"
    assert judgement.summary == f"“Fees”: {told}; no effect on your content found."


def test_numbers_that_are_no_amounts_are_not_told_as_such() -> None:
    """The number of a section or of days is no money."""
    before = document("Section 5 applies within 14 days.")

    assert "→" not in judged(before, before.replace("14 days", "30 days")).headline


def test_improvement_says_what_is_gained() -> None:
    """An opt-out that is added reads like the good news that it is."""
    judgement = judged(document(TRAINING), document(TRAINING, OPT_OUT))

    assert flag(judgement, "ai_training").direction is Direction.BETTER
    assert judgement.headline == "Inkwell Terms of Service: now lets you opt out of AI training"


def test_ban_on_scraping_is_said_once_and_is_neither_worse_nor_better() -> None:
    """What users may not do about AI has no direction for them, and one sentence is one point of the headline."""
    ban = "You may not scrape stories from this site, and you may not use them to train artificial intelligence models."
    judgement = judged(document(LICENCE), document(LICENCE, ban))

    assert judgement.headline == "Inkwell Terms of Service: forbids scraping the site to train AI"
    assert {one.direction for one in judgement.flags} == {Direction.NEUTRAL}
    assert judgement.summary == "Forbids scraping the site to train AI."


def test_unread_language_is_said() -> None:
    """Text that no rule can read is not passed in silence."""
    polish = "Użytkownik nie może korzystać z serwisu w sposób niezgodny z prawem ani też robić tego dla innych. " * 4
    after = polish + "\n\nUsługodawca może zmienić regulamin w każdym czasie i bez podania przyczyny."

    assert "the text is in Polish, which the rules do not read" in judged(polish, after).summary


# --- the labelled texts ------------------------------------------------------------------------------------------


def labelled() -> Iterator[str]:
    with (SHARED / "clauses" / "clauses.jsonl").open(encoding="utf-8") as rows:
        yield from (json.loads(row)["text"] for row in rows)


@pytest.mark.skipif(not (SHARED / "clauses").exists(), reason="no reference data here")
def test_every_quote_of_labelled_clauses_is_exact() -> None:
    """Over all labelled clauses, each quote stands in its clause at its offsets."""
    for text in labelled():
        for finding in findings(Clause(text), RULES):
            assert text[finding.start : finding.end] == finding.quote != ""


@pytest.mark.skipif(not (SHARED / "labels").exists(), reason="no reference data here")
def test_every_quote_of_labelled_changes_is_exact() -> None:
    """Each quote of a flag stands in the clause of the version that it names."""
    with gzip.open(SHARED / "labels" / "changes.jsonl.gz", "rt", encoding="utf-8") as rows:
        for number, line in enumerate(rows):
            if number % 9:
                continue
            row = json.loads(line)
            comparison = compare(split(row["before"]), split(row["after"]))
            for found in judge(comparison, RULES, service_name=row["service"], type=row["terms"]).flags:
                for quotes, version in ((found.before, comparison.before), (found.after, comparison.after)):
                    assert all(version[q.clause].text[q.start : q.end] == q.text != "" for q in quotes)


@pytest.mark.skipif(not (SHARED / "cases").exists(), reason="no reference data here")
def test_announcement_is_told_once_and_its_day_brings_nothing_new() -> None:
    """The case to beat: training announced weeks ahead, beside the terms in force, in two regional copies."""
    case = SHARED / "cases" / "x-2024"
    before, announced, in_force = (
        (case / name).read_text("utf-8") for name in ("before.md", "2024-10-21.md", "2024-11-15.md")
    )

    first = judged(before, announced, service="X")
    second = judged(announced, in_force, service="X")

    assert first.headline == (
        "X Terms of Service: may now train AI on your content; licence to your content now for any purpose; from 15 Nov 2024"
    )
    assert first.effective_date == date(2024, 11, 15)
    assert flag(first, "ai_training").direction is Direction.WORSE
    assert len(flag(first, "ai_training").after) == 1
    assert flag(first, "content_license").direction in (Direction.WORSE, Direction.MIXED)
    assert second.flags == ()
