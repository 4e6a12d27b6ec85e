"""Dates: found in the forms that platforms use, and told apart by what the text says of them."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tosmon.dates import effective_date, find_dates

DAY = date(2024, 11, 15)
FIRST = date(2024, 3, 1)


@pytest.mark.parametrize(
    "text",
    [
        "November 15, 2024",
        "Nov. 15, 2024",
        "Nov 15 2024",
        "NOVEMBER 15TH, 2024",
        "15 November 2024",
        "15th of November 2024",
        "15th day of November, 2024",
        "15-Nov-2024",
        "2024-11-15",
        "2024/11/15",
        "15.11.2024",
        "15/11/2024",
        "11/15/2024",
        "15. November 2024",
        "15 novembre 2024",
        "15 de noviembre de 2024",
        "15 de novembro de 2024",
        "15 de novembre de 2024",
        "15 d'novembre 2024",
        "15 listopada 2024 r.",
        "15. listopadu 2024",
        "2024. november 15.",
        "15. marraskuuta 2024",
        "15 Kasım 2024",
        "15 ноября 2024 г.",
        "15 листопада 2024 року",
        "15 Νοεμβρίου 2024",
        "15 noiembrie 2024",
        "2024 m. lapkričio 15 d.",
        "2024. gada 15. novembris",
        "2024年11月15日",
        "2024 年 11 月 15 日",
        "令和6年11月15日",
        "2024년 11월 15일",
        "2024. 11. 15.",
        "15 نوفمبر 2024",
        "15 בנובמבר 2024",
        "15 नवंबर 2024",
        "15 พฤศจิกายน 2567",
        "ngày 15 tháng 11 năm 2024",
        "１５．１１．２０２４".translate({ord("．"): "."}),
    ],
)
def test_one_day_is_found_in_every_form(text: str) -> None:
    """Each of these is 15 November 2024 and nothing else."""
    assert [found.day for found in find_dates(f"x {text} y")] == [DAY]


@pytest.mark.parametrize("text", ["03/04/2025", "3-4-2025", "12/11/2024"])
def test_a_date_that_can_be_two_has_no_day(text: str) -> None:
    """It is found, so that nobody takes it for a number."""
    (found,) = find_dates(f"from {text} on")

    assert (found.day, found.month) == (None, None)


def test_dotted_dates_are_day_first() -> None:
    """03.04.2025 is written so only where the day comes first."""
    assert [found.day for found in find_dates("03.04.2025")] == [date(2025, 4, 3)]


def test_a_month_alone_has_no_day() -> None:
    """ "May 2024" names a month, and a verb "may" names none."""
    (found,) = find_dates("Updated May 2024; we may in 2025 change it")

    assert (found.day, found.month) == (None, (2024, 5))


@pytest.mark.parametrize(
    "text", ["20241115", "31/31/2024", "30 February 2024 x", "call 555-1234-2024", "version 1.2.3", "in 1066", ""]
)
def test_what_is_no_day_is_not_made_one(text: str) -> None:
    """Impossible days and mere numbers are left alone."""
    assert not any(found.day for found in find_dates(text))


def test_offsets_point_into_the_text() -> None:
    """What is found can be marked and cut out."""
    text = "From May 5, 2024 until 07.06.2025."

    assert [text[found.start : found.end] for found in find_dates(text)] == ["May 5, 2024", "07.06.2025"]


@given(st.text(alphabet=st.sampled_from("0123456789 ./-年月日thofNovmber,"), max_size=60))
def test_dates_never_overlap_nor_fail(text: str) -> None:
    """Whatever stands there, dates are in order and apart."""
    found = find_dates(text)

    assert all(one.end <= other.start for one, other in pairwise(found))


@pytest.mark.parametrize(
    "text",
    [
        "Effective Date: March 1, 2024",
        "**Effective:** March 1, 2024",
        "EFFECTIVE AS OF MARCH 1, 2024 | Posted: February 1, 2024",
        "Effective:March 1, 2024",
        "Effective date: 3/1/2024 and 1 March 2024",
        "These changes will go into effect on March 1, 2024.",
        "The new Terms take effect 1 March 2024, when you use the service.",
        "This agreement is effective upon acceptance for new users, and from March 1, 2024 for existing users.",
        "This agreement is effective from 1 March 2024. The previous amendment was effective for all users on May 1, 2021.",
        "We're updating our Terms of Service on 1 March 2024 to make them clearer",
        "Last updated: February 1, 2024. Effective: March 1, 2024.",
        "This version, dated 1 March 2024, replaces all earlier ones with immediate effect.",
        "These Terms were last modified 1 March 2024 and are effective immediately.",
        "Starting on March 1, 2024, these new Terms apply.",
        "Diese Bedingungen treten am 1. März 2024 in Kraft.",
        "Gültig ab 01.03.2024",
        "En vigueur à compter du 1er mars 2024",
        "Entrada en vigor: 1 de marzo de 2024",
        "Vigente a partir de 1 de março de 2024",
        "In vigore dal 1 marzo 2024",
        "Ingangsdatum: 1 maart 2024",
        "Träder i kraft den 1 mars 2024",
        "Data wejścia w życie: 1 marca 2024 r.",
        "Účinné od 1. března 2024",
        "Hatályos: 2024. március 1-től",
        "Yürürlük tarihi: 1 Mart 2024",
        "Вступает в силу с 1 марта 2024 г.",
        "本規約は2024年3月1日から施行します。",
        "本协议自2024年3月1日起生效",
        "시행일: 2024년 3월 1일",
        "تسري هذه الشروط اعتباراً من 1 مارس 2024",
    ],
)
def test_the_day_from_which_terms_apply_is_read(text: str) -> None:
    """In the words that terms use, in many languages."""
    assert effective_date([text]) == FIRST


def test_a_short_american_year_is_read_when_it_can_mean_one_day() -> None:
    """As in "As of 3/24/24, this policy also applies to …"."""
    assert effective_date(["As of 3/24/24, this policy also applies to our apps."]) == date(2024, 3, 24)


@pytest.mark.parametrize(
    "text",
    [
        "Last updated: March 1, 2024",
        "Dated March 1, 2024",
        "As of March 1, 2024",
        "Effective 03/04/2024",
        "Effective from March 1, 2020 until March 1, 2024",
        "Part B: Old version - effective as of March 1, 2024",
        "The previous amendment was effective for all users on March 1, 2024.",
        "Stand: 01.03.2024",
        "Última actualización: 1 de marzo de 2024",
        "更新日期：2024年3月1日",
        "The Consumer Privacy Act, effective January 1, 2020, gives you rights.",
        "Regulation (EU) 2016/679 of 27 April 2016 applicable since 25 May 2018",
        "as applicable, the Data Protection Act of 19 June 1992",
        "Effective July 1, 2021, Acme Inc. became Apex Inc.",
        "Beginning November 18, 2025, we offer users another way to log in.",
    ],
)
def test_other_dates_are_not_taken_for_it(text: str) -> None:
    """Stamps, laws, products, earlier versions and ambiguous dates say nothing of when these terms apply."""
    assert effective_date([text]) is None


def test_a_line_of_its_own_comes_before_a_sentence() -> None:
    """The general date counts, though a clause names an earlier one for some."""
    clauses = ["This policy is effective from May 1, 2023 for residents of Utopia.", "Effective date: June 1, 2024"]

    assert effective_date(clauses) == date(2024, 6, 1)


def test_of_several_the_earliest_counts() -> None:
    """Otherwise people would learn too late."""
    clauses = ["The changes take effect on June 1, 2024.", "The fees take effect on May 1, 2024."]

    assert effective_date(clauses) == date(2024, 5, 1)
