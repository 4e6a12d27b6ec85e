"""The rules as a page people can read: docs/flag-rules.md is this, and a test keeps it so."""

from __future__ import annotations

from collections.abc import Iterable

from tosmon.judge.rules import Pack, Rule, Rules
from tosmon.language import NAMES

_HEAD = """# What tosmon looks for

Each rule below is an entry of a pack in `tosmon/judge/packs/`. A rule says what must stand in a sentence for the sentence to
speak on a topic; who acts and whether they may is fixed by the rule, or read from the sentence by the pack's readings.
`tosmon rules explain "…"` shows for any sentence which rules met, in which words and why. How to write rules of your own:
[at the end](#writing-rules).

*This page is made from the packs by `python -m tosmon.judge.catalogue`.*
"""
_TAIL = """
## Writing rules

A pack is a YAML file; put yours in a folder and name the folder (or the file) in the top-level list `rules:` of
`config.yaml`. A rule of yours with the id of one of ours takes its place.

```yaml
pack: my-rules
language: en
topic: biometrics
about: What may be done with faces and voices.
stems: ['\\bface', 'voiceprint']        # without one of these a clause is not looked at
words:
  collect: '(?:collect|store|keep|scan)\\w*'
rules:
  - id: biometrics.collect
    actor: provider                     # provider, third_party, user, or `read`
    stance: may                         # may, may_unless_opt_out, only_if_opt_in, may_not, grants, … or `read`
    says: collect your face or voice print
    why: Biometric features cannot be changed once they are known.
    source: GDPR Art. 9
    patterns: ['{collect}[^;]{0,60}\\b(?:face|voice) ?(?:prints?|templates?)']
    unless: ['\\bwe do not\\b']
    examples:
      match: ['We collect and store face templates of the people in your photos.']
      no_match: ['We do not collect face templates.']
```

Patterns are [RE2](https://github.com/google/re2/wiki/Syntax): no look-around and no back-references, and in return no
pattern can hang, whatever the text. Text is folded before it is read: lower case, no accents, straight quotes, no
Markdown, one sentence at a time; a list item is read together with the sentence that introduces its list. Of a rule,
`patterns` (one must match: the core), `unless_core` (must not stand within the core), `unless_before` (nor before it),
`also` (each group must match somewhere in the sentence), `unless` (must not), `stem` and `unless_stem` (the introduction
of a list) can be given.
"""


def catalogue(rules: Rules) -> str:
    """Markdown with each rule of each pack: what it says, why, how actor and stance are had, and its examples."""
    parts = [_HEAD]
    for pack in rules.packs:
        parts.append(_pack(pack))
    return "\n".join(parts) + _TAIL


def _pack(pack: Pack) -> str:
    language = NAMES.get(pack.language, pack.language)
    head = f"\n## {pack.topic} ({language})\n\n{pack.about.strip()}\n"
    if pack.yields_to:
        head += f"\nCounts only where no rule of {_list(sorted(pack.yields_to))} met the same sentence.\n"
    return head + "".join(_rule(rule) for rule in pack.rules)


def _rule(rule: Rule) -> str:
    actor = "read from the sentence" if rule.reads_actor else f"`{rule.actor}`" if rule.actor else "none"
    stance = "read from the sentence" if rule.reads_stance else f"`{rule.stance}`" if rule.stance else "none"
    lines = [f"\n### `{rule.id}`\n", f"{rule.why.strip()}\n", f"- actor: {actor} · stance: {stance}"]
    if rule.source:
        lines.append(f"- source: {rule.source}")
    lines += [f"- matches: “{_line(example)}”" for example in rule.matches]
    lines += [f"- does not match: “{_line(example)}”" for example in rule.misses]
    return "\n".join(lines) + "\n"


def _line(example: str) -> str:
    return " ".join(example.split()).replace("*", "\\*")


def _list(topics: Iterable[str]) -> str:
    return " or ".join(f"`{topic}`" for topic in topics)


if __name__ == "__main__":
    from tosmon.judge.rules import load_rules

    print(catalogue(load_rules()), end="")
