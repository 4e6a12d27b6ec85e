"""`tosmon rules`: list, test and explain, with packs of ours and of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tosmon.cli import tosmon

PACK = """
pack: faces
language: en
topic: biometrics
about: What may be done with faces.
stems: ['face']
rules:
  - id: biometrics.collect
    actor: provider
    stance: may
    says: collect your face print
    why: A face cannot be changed.
    patterns: ['collect\\w* (?:\\w+ ){0,3}face ?prints?']
    examples:
      match: ['We collect face prints of visitors.']
      no_match: ['{miss}']
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without a configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOSMON_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))


def pack(folder: Path, miss: str = "You wash your face.") -> Path:
    file = folder / "faces.yaml"
    file.write_text(PACK.replace("{miss}", miss), encoding="utf-8")
    return file


def test_explain_names_rule_words_and_reason() -> None:
    """An explanation says which rule met, in which words, and why it matters."""
    ended = CliRunner().invoke(tosmon, ["rules", "explain", "--json", "We may use your posts to train our AI models."])

    (told,) = json.loads(ended.output)
    assert told["finding"]["topic"] == "ai_training"
    assert told["finding"]["rule"] == "ai_training.train-models"
    assert told["words"] == "train our AI models"
    assert told["why"]


def test_explain_reads_a_clause_from_stdin_and_says_when_nothing_is_met() -> None:
    """A dash stands for stdin; a clause of no interest is answered too."""
    ended = CliRunner().invoke(tosmon, ["rules", "explain", "-"], input="Parcels travel at our risk.\n")

    assert ended.exit_code == 0
    assert "No rule meets this." in ended.stderr


def test_list_tells_rules_of_a_topic_and_of_ones_own(tmp_path: Path) -> None:
    """Packs given by hand stand in the list beside ours."""
    file = pack(tmp_path)
    ended = CliRunner().invoke(tosmon, ["rules", "list", "--rules", str(file), "--topic", "biometrics", "--json"])

    assert [(rule["id"], rule["pack"]) for rule in json.loads(ended.output)] == [("biometrics.collect", str(file))]


def test_packs_that_the_configuration_names_are_in_force(tmp_path: Path) -> None:
    """The setting `rules` of the configuration counts without a word on the command line."""
    pack(tmp_path)
    (tmp_path / "config.yaml").write_text("rules: [faces.yaml]\nservices: []\n", encoding="utf-8")
    ended = CliRunner().invoke(tosmon, ["rules", "explain", "We collect face prints."])

    assert "biometrics.collect" in ended.output, ended.output


def test_examples_that_a_rule_does_not_keep_to_are_told(tmp_path: Path) -> None:
    """`rules test` names rule and example, and ends with exit code 1."""
    file = pack(tmp_path, miss="We collect your face prints.")
    ended = CliRunner().invoke(tosmon, ["rules", "test", "--rules", str(file), "--json"], standalone_mode=False)

    assert ended.return_value == 1
    told = json.loads(ended.stdout)["failures"]
    assert told == ["biometrics.collect: must not match, does: We collect your face prints."]


def test_a_broken_pack_is_named_with_what_to_mend(tmp_path: Path) -> None:
    """An error says which file, which rule, and what is wrong in it."""
    file = pack(tmp_path)
    file.write_text(file.read_text("utf-8").replace("why: A face cannot be changed.", ""), encoding="utf-8")
    ended = CliRunner().invoke(tosmon, ["rules", "test", "--rules", str(file)])

    assert str(ended.exception) == f"{file}: rule biometrics.collect: `why` is missing"
