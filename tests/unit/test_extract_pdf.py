"""PDF terms: reading order, paragraphs, headings, and what the printer added."""

from __future__ import annotations

import gzip
import re
import subprocess
import textwrap
import time
import zlib
from pathlib import Path
from typing import Any

import pytest

from tosmon.errors import ExtractionError
from tosmon.extract import apart, pdf
from tosmon.extract.apart import pdf_to_markdown_apart
from tosmon.extract.pdf import pdf_to_markdown

URL = "https://ink.example/tos.pdf"
Placed = tuple[float, float, float, bool, str]
"""A line of a page: left, baseline, size, bold, text."""


def make_pdf(pages: list[list[Placed]], extra: str = "") -> bytes:
    """A small PDF with two fonts, each line set where it is told."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", ""]
    kids = []
    fonts = "<< /F1 << /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >> " + (
        "/F2 << /Type /Font /Subtype /Type1 /BaseFont /Courier-Bold /Encoding /WinAnsiEncoding >> >>"
    )
    for lines in pages:
        content = extra + "".join(
            f"BT /{'F2' if bold else 'F1'} {size} Tf 1 0 0 1 {x} {y} Tm ({escaped(text)}) Tj ET\n"
            for x, y, size, bold, text in lines
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
        needs = f"/Contents {len(objects)} 0 R /Resources << /Font {fonts} >>"
        objects.append(f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] {needs} >>")
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Count {len(kids)} /Kids [{' '.join(kids)}] >>"
    out = b"%PDF-1.4\n"
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}".encode()
    return out + f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF".encode()


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")


def prose(about: str, sentences: int) -> str:
    return " ".join(
        f"You grant us a licence to use {about} number {number} worldwide." for number in range(1, sentences + 1)
    )


def set_text(text: str, x: float, y: float, width: int, size: float = 10) -> list[Placed]:
    return [(x, y - 1.2 * size * n, size, False, line) for n, line in enumerate(textwrap.wrap(text, width))]


def test_lines_become_paragraphs_and_sizes_headings() -> None:
    """A paragraph is whole, whatever its lines; larger and bold lines of their own are headings."""
    page = [
        (60, 760, 20, True, "Terms of Service"),
        *set_text(prose("drawing", 3), 60, 720, 80),
        (60, 660, 10, True, "2. Payment"),
        *set_text(prose("invoice", 3), 60, 640, 80),
        (60, 590, 10, False, "(a) first, and"),
        (60, 576, 10, False, "(b) second."),
        (60, 540, 10, False, "\x95 a bullet"),
    ]

    assert pdf_to_markdown(make_pdf([page]), URL) == "\n\n".join(
        [
            "# Terms of Service",
            prose("drawing", 3),
            "## 2. Payment",
            prose("invoice", 3),
            "(a) first, and",
            "(b) second.",
            "- a bullet",
        ]
    )


def test_columns_are_read_one_after_the_other() -> None:
    """Also below a title that spans both, and when the file holds them line by line."""
    left, right = set_text(prose("left", 8), 50, 700, 42), set_text(prose("right", 8), 320, 700, 42)
    mixed = [line for pair in zip(left, right, strict=True) for line in pair]
    page = [(50, 760, 18, True, "Terms of the whole of the Inkwell service, in two columns"), *mixed]

    text = pdf_to_markdown(make_pdf([page]), URL)

    assert text.split("\n\n") == [
        "# Terms of the whole of the Inkwell service, in two columns",
        prose("left", 8),
        prose("right", 8),
    ]


def test_rows_of_a_table_stay_rows() -> None:
    """Cells are no columns of prose."""
    cells = [
        ("Data", "Purpose"),
        ("Name", "Account"),
        ("Mail", "News"),
        ("Age", "Law"),
        ("Face", "Login"),
        ("Voice", "Search"),
        ("IP", "Log"),
    ]
    page = [
        (float(x), 700.0 - 16 * n, 10.0, False, text)
        for n, row in enumerate(cells)
        for x, text in zip((60, 360), row, strict=True)
    ]

    assert "Mail News" in pdf_to_markdown(make_pdf([page]), URL)


def test_running_headers_footers_and_page_numbers_are_dropped() -> None:
    """They would cut clauses in two, and a clause that runs over the page stays whole."""
    pages = []
    text = prose("page", 60)
    lines = textwrap.wrap(text, 80)
    for number in range(4):
        body = lines[number * len(lines) // 4 : (number + 1) * len(lines) // 4]
        pages.append(
            [
                (60, 815, 8, False, f"Inkwell Terms - version {number + 3}"),
                *[(60.0, 760 - 12.0 * n, 10.0, False, line) for n, line in enumerate(body)],
                (60, 30, 8, False, f"Page {number + 1} of 4"),
                (500, 30, 8, False, "Confidential"),
            ]
        )

    found = pdf_to_markdown(make_pdf(pages), URL)

    assert " ".join(found.split()) == text


def test_word_cut_at_the_end_of_a_line_is_made_whole() -> None:
    """A hyphen stays where the document writes the word with one."""
    lines = [
        "We keep your infor-",
        "mation, and third-party data as third-",
        "party data, for as long as the law de-",
        "mands it.",
    ]
    page = [(60.0, 700.0 - 12 * n, 10.0, False, line) for n, line in enumerate(lines)]

    assert pdf_to_markdown(make_pdf([page]), URL) == (
        "We keep your information, and third-party data as third-party data, for as long as the law demands it."
    )


def test_scan_is_an_error_that_says_so() -> None:
    """Pictures of text give no empty version."""
    picture = "q 500 0 0 700 40 60 cm BI /W 2 /H 2 /BPC 8 /CS /G ID \x01\x02\x03\x04 EI Q\n"

    with pytest.raises(ExtractionError, match="scan"):
        pdf_to_markdown(make_pdf([[], []], picture), URL)


@pytest.mark.parametrize("body", [b"%PDF-1.7", b"%PDF-1.4\n1 0 obj\n<<", make_pdf([[(60, 700, 10, False, "x")]])[:200]])
def test_broken_file_is_an_error_that_says_so(body: bytes) -> None:
    """With its address."""
    with pytest.raises(ExtractionError, match="broken"):
        pdf_to_markdown(body, URL)


def objects_of(contents: bytes, *others: bytes, extra: str = "", resources: str = "") -> bytes:
    """A PDF of one page, with further objects from number 6 on, and more in its trailer if told."""
    fonts = "/Font << /F1 5 0 R >>"
    page = (
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 3 0 R /Resources << {fonts} {resources} >> >>"
    )
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count 1 /Kids [4 0 R] >>",
        contents,
        page.encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier >>",
        *others,
    ]
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    head = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    tail = f"trailer << /Size {len(objects) + 1} /Root 1 0 R {extra} >>\nstartxref\n{len(out)}\n%%EOF"
    return out + head + table + tail.encode()


def packed(content: bytes, entries: str = "") -> bytes:
    data = zlib.compress(content, 9)
    return f"<< /Length {len(data)} /Filter /FlateDecode {entries} >>\nstream\n".encode() + data + b"\nendstream"


WORDS = b"BT /F1 10 Tf 60 700 Td (You grant us a licence to your work.) Tj ET\n"


def drawn_a_million_times() -> bytes:
    """Six forms, each of which draws the next one ten times."""
    forms = []
    for number in range(7, 14):
        last = number == 13
        inner = "" if last else f"/XObject << /X {number} 0 R >>"
        entries = f"/Type /XObject /Subtype /Form /BBox [0 0 595 842] /Resources << /Font << /F1 5 0 R >> {inner} >>"
        forms.append(packed(WORDS if last else b"/X Do " * 10, entries))
    return objects_of(packed(b"/X Do " * 10), *forms, resources="/XObject << /X 6 0 R >>")


def test_encrypted_file_is_an_error_that_says_so() -> None:
    """Nobody has its password; that it has one is what the operator must know."""
    lock = f"/Encrypt << /Filter /Standard /V 1 /R 2 /O <{'ab' * 32}> /U <{'cd' * 32}> /P -4 >> /ID [<00><00>]"
    with pytest.raises(ExtractionError, match="locked with a password"):
        pdf_to_markdown_apart(objects_of(packed(WORDS), extra=lock), URL)


def test_half_a_file_is_an_error_or_its_text_never_a_crash() -> None:
    """A download that broke off anywhere."""
    whole = make_pdf([set_text(prose("drawing", 30), 60, 720, 80)])
    for part in range(1, 10):
        try:
            text = pdf_to_markdown(whole[: len(whole) * part // 10], URL)
        except ExtractionError:
            continue
        assert text.startswith("You grant us")


@pytest.mark.parametrize(
    "hostile",
    [drawn_a_million_times(), objects_of(packed(WORDS * 3_000_000))],
    ids=["drawn a million times", "two hundred megabytes"],
)
def test_file_made_to_hurt_is_given_up(hostile: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of some kilobytes can keep its reader busy for hours: it is read apart, and the process ended in time."""
    monkeypatch.setattr(apart, "_SECONDS", 4)
    start = time.monotonic()

    with pytest.raises(ExtractionError, match=re.escape(URL)):
        pdf_to_markdown_apart(hostile, URL)

    assert time.monotonic() - start < 20


def test_reading_apart_gives_the_same_and_tells_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that reads a stranger's file has the text to give, and nothing of ours."""
    seen: dict[str, Any] = {}
    run = subprocess.run
    monkeypatch.setenv("TOSMON_SMTP_PASSWORD", "secret")
    monkeypatch.setattr(subprocess, "run", lambda *a, **options: seen.update(options) or run(*a, **options))
    body = make_pdf([set_text(prose("drawing", 3), 60, 720, 80)])

    assert pdf_to_markdown_apart(body, URL) == pdf_to_markdown(body, URL) == prose("drawing", 3)
    assert "TOSMON_SMTP_PASSWORD" not in seen["env"]


def test_file_that_is_no_terms_by_its_size_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages and characters are counted before they are worked on."""
    body = make_pdf([set_text(prose("bomb", 30), 60, 760, 80)] * 3)

    for name, limit in (("MOST_PAGES", 2), ("MOST_CHARACTERS", 3000), ("MOST_CHARACTERS_OF_A_PAGE", 100)):
        with monkeypatch.context() as patch:
            patch.setattr(pdf, name, limit)
            with pytest.raises(ExtractionError, match="this PDF"):
                pdf_to_markdown(body, URL)


def test_recorded_pdf_reads_well() -> None:
    """The PDF of the reference data: no words joined at line ends, its headings found, its lists as lists."""
    path = Path(__file__).parents[3] / "shared/data/extraction/pages/genai-eu-051.0.pdf.gz"
    if not path.exists():
        pytest.skip("reference data is not here")

    text = pdf_to_markdown(gzip.decompress(path.read_bytes()), URL)

    assert text.count("\n\n# ") == 7
    assert text.count("\n\n- ") == 18
    assert "official representatives of government agencies" in text
