"""Make a versions repository like a real one, as large as one likes: documents that change a clause at a time.

    python benchmarks/generate.py GIT_DIR [--versions 42627] [--documents 877] [--letters 34500] [--seed 1] [--repack]

The same seed and sizes give the same commits. Texts are made of sentences as terms have them, from words that are as
frequent as words are. What a version does to the one before follows what was measured on recorded histories: four in
ten return to an earlier text, two in ten change only the targets of links, most others reword, add or take a clause
or two, few rewrite a third of the text. The repository is written by `git fast-import`. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path

_TYPES = ("Terms of Service", "Privacy Policy", "Community Guidelines", "Developer Terms", "Trackers Policy", "Imprint")
_START = datetime(2016, 5, 3, tzinfo=UTC)
_AUTHOR = "Open Terms Archive Bot <bot@opentermsarchive.org>"
_SENTENCES = (
    "You keep the rights to the {0} that you {1}.",
    "You grant us a worldwide, royalty-free licence to {1} and {2} your {0}.",
    "We may use your {0} to {1} the {3}, and to train our models.",
    "You may not {1} the {0} or use it to train any model without our consent.",
    "If you are under {5} years old, you may not {1} any {0}.",
    "We may {1} your {0} for as long as it takes to {2} the {3}.",
    "We share {0} with {3} who {1} it on our behalf.",
    "The fee for the {0} is {5} euros a month; it is due on the day on which you {1} it.",
    "We will tell you {5} days before we {1} the {0} or the {3}.",
    "Nothing in these {0} limits the {3} that the law gives you.",
    "See the [{0}](https://example.org/{1}?ref={4}) for how we {1} and {2} it.",
    "To the extent that the law allows, we are not liable for any {0} that comes from your {3}.",
    "You can {1} your {0} at any time in the settings of the {3}.",
)
_SYLLABLES = (
    "ac ad al an ar as at be ca ce co con de di en er es ex fi for gra in in is it la le li lo ma me men mi na ne no on or"
    " pa par per po pre pro ra re ri ro sa se si so sta ta te ter ti tion to tra tu un ur va ver vi"
)


class Writer:
    """Writes sentences, paragraphs and changes of them, from one source of chance."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        syllables = _SYLLABLES.split()
        words = sorted({"".join(chance.choices(syllables, k=chance.choice((1, 2, 2, 3, 3, 4)))) for _ in range(9000)})
        chance.shuffle(words)
        self.words = words
        self.weights = list(accumulate(1 / (rank + 3) for rank in range(len(words))))

    def some(self, count: int) -> list[str]:
        return self.chance.choices(self.words, cum_weights=self.weights, k=count)

    def sentence(self) -> str:
        if self.chance.random() < 0.25:
            slots = self.some(4)
            return self.chance.choice(_SENTENCES).format(
                *slots, self.chance.randrange(10**6), self.chance.randrange(2, 90)
            )
        words = self.some(self.chance.randint(9, 34))
        if len(words) > 14:
            words[self.chance.randrange(5, 10)] += ","
        return " ".join(words).capitalize() + "."

    def paragraph(self, letters: int) -> str:
        sentences: list[str] = []
        while sum(map(len, sentences)) < letters:
            sentences.append(self.sentence())
        return " ".join(sentences)

    def reworded(self, paragraph: str) -> str:
        sentences = paragraph.split(". ")
        place = self.chance.randrange(len(sentences))
        how = self.chance.random()
        if how < 0.4:
            words = sentences[place].split(" ")
            words[self.chance.randrange(len(words))] = self.some(1)[0]
            sentences[place] = " ".join(words)
        elif how < 0.7:
            sentences[place] = self.sentence().rstrip(".")
        elif how < 0.9 or len(sentences) == 1:
            sentences.insert(place, self.sentence().rstrip("."))
        else:
            del sentences[place]
        return ". ".join(sentences)


def history(writer: Writer, versions: int, letters: int) -> Iterator[tuple[list[str], int]]:
    """The texts of one document as lists of paragraphs, each with its number: the same number is the same text."""
    chance = writer.chance
    text = ["Terms\n====="]
    while sum(map(len, text)) < letters:
        if len(text) % 9 == 1:
            text.append("## " + " ".join(writer.some(3)).capitalize())
        text.append(writer.paragraph(int(chance.lognormvariate(6.5, 0.7))))
    known, number = [text], 0
    yield text, 0
    for _ in range(versions - 1):
        how = chance.random()
        back = max(0, len(known) - 2 - int(chance.expovariate(0.7)))
        if how < 0.39 and back != number:
            text, number = known[back], back
        else:
            text = changed(writer, text, how)
            known.append(text)
            number = len(known) - 1
        yield text, number


def changed(writer: Writer, text: list[str], how: float) -> list[str]:
    chance, new = writer.chance, list(text)
    if how < 0.55:
        new = [link_elsewhere(paragraph, chance) for paragraph in text]
        if new != text:
            return new
    count = len(text) // 2 if how > 0.9 else chance.choice((1, 1, 2, 3, 5, 8, 12, 30))
    for _ in range(count):
        place = chance.randrange(1, len(new))
        kind = chance.random()
        if kind < 0.75 and not new[place].startswith("## "):
            new[place] = writer.reworded(new[place])
        elif kind < 0.87 or len(new) < 30:
            new.insert(place, writer.paragraph(int(chance.lognormvariate(6.5, 0.7))))
        else:
            del new[place]
    return new


def link_elsewhere(paragraph: str, chance: random.Random) -> str:
    if "?ref=" not in paragraph or chance.random() < 0.5:
        return paragraph
    before, _, after = paragraph.partition("?ref=")
    return f"{before}?ref={chance.randrange(10**6)}{after[after.index(')') :]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--versions", type=int, default=42_627)
    parser.add_argument("--documents", type=int, default=877)
    parser.add_argument("--letters", type=int, default=34_500, help="of a text, on average")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repack", action="store_true", help="pack as tightly as a served repository is")
    arguments = parser.parse_args()
    began = time.perf_counter()
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(arguments.folder)], check=True)
    figures = generate(arguments.folder, arguments.versions, arguments.documents, arguments.letters, arguments.seed)
    if arguments.repack:
        subprocess.run(["git", "-C", str(arguments.folder), "repack", "-adfq", "--depth=50", "--window=10"], check=True)
    figures["pack_bytes"] = sum(path.stat().st_size for path in arguments.folder.rglob("*.pack"))
    figures["seconds"] = round(time.perf_counter() - began)
    print(json.dumps(figures))


def generate(folder: Path, versions: int, documents: int, letters: int, seed: int) -> dict[str, int]:
    chance = random.Random(seed)
    writer = Writer(chance)
    process = subprocess.Popen(
        ["git", "-C", str(folder), "fast-import", "--quiet", "--depth=50"], stdin=subprocess.PIPE
    )
    assert process.stdin is not None
    out = process.stdin
    commits: list[tuple[datetime, str, int, bool, bool]] = []  # time, path, mark, first, technical
    paragraphs: set[int] = set()
    mark = size = 0
    for number, count in enumerate(shares(chance, versions, documents)):
        path = f"{writer.some(1)[0].capitalize()} {number // 3}/{_TYPES[number % len(_TYPES)]}.md"
        marks: dict[int, int] = {}
        at = _START + timedelta(days=chance.random() * 2000)
        step = (_START + timedelta(days=3650) - at) / count
        for order, (text, same) in enumerate(history(writer, count, int(letters * chance.uniform(0.6, 1.4)))):
            whole = "\n\n".join(text).encode()
            size += len(whole)
            if same not in marks:
                mark += 1
                marks[same] = mark
                paragraphs.update(hash(paragraph) for paragraph in text)
                out.write(b"blob\nmark :%d\ndata %d\n%s\n" % (mark, len(whole), whole))
            commits.append((at, path, marks[same], order == 0, order > 0 and chance.random() < 0.01))
            at += step * chance.uniform(0.5, 1.5)
    commits.sort(key=lambda commit: (commit[0], commit[1]))
    for at, path, blob, first, technical in commits:
        out.write(commit_of(chance, at, path, blob, first, technical))
    out.close()
    if process.wait():
        raise SystemExit("git fast-import failed")
    return {
        "versions": len(commits),
        "documents": documents,
        "text_bytes": size,
        "distinct_paragraphs": len(paragraphs),
    }


def commit_of(chance: random.Random, at: datetime, path: str, blob: int, first: bool, technical: bool) -> bytes:
    service, _, name = path.removesuffix(".md").partition("/")
    verb = (
        "First record of"
        if first
        else "Apply technical or declaration upgrade on"
        if technical
        else "Record new changes of"
    )
    message = (
        f"{verb} {service} {name}\n\nThis version was recorded after extracting from snapshot"
        f" {chance.getrandbits(160):040x}\n\nX-engine-version: 5.0.0"
    ).encode()
    who = f"{_AUTHOR} {int(at.timestamp())} +0000"
    head = f"commit refs/heads/main\nauthor {who}\ncommitter {who}\ndata {len(message)}\n".encode()
    return head + message + f'\nM 100644 :{blob} "{path}"\n\n'.encode()


def shares(chance: random.Random, versions: int, documents: int) -> list[int]:
    """How many versions each document has: few have many, as everywhere."""
    weights = [min(chance.paretovariate(1.1), 100) for _ in range(documents)]  # none has most of all
    counts = [1 + int(weight / sum(weights) * (versions - documents)) for weight in weights]
    for number in range(versions - sum(counts)):
        counts[number % documents] += 1
    return counts


if __name__ == "__main__":
    main()
