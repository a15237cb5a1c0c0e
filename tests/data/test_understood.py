"""Columns as they are understood from their cells: kinds, notations, dates, missing values, remarks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from fallline.data.understood import Understood, understood
from fallline.errors import ArgumentError, DataError
from fallline.nn.column import Category, Moment, Number
from fallline.table import Texts


def of(cells: Sequence[Any], wish: str | None = None, name: str = "c", **more: Any) -> Understood:
    texts = not any(isinstance(cell, int | float | np.generic) for cell in cells)
    return understood(name, Texts.of(cells) if texts else np.array(cells), wish, **more)


def numbers(cells: list[str], **more: Any) -> list[float]:
    """The numbers that a model reads in these cells."""
    found = of(cells, **more)
    assert found.kind == "number", found
    return Number("c", 0.0, 1.0, notation=found.notation).read(Texts.of(cells)).tolist()


WRITTEN = {
    "decimal comma": (["1,5", "2,25", "10,0"], [1.5, 2.25, 10.0]),
    "thousands with commas": (["1,234", "999", "1,234,567"], [1234, 999, 1234567]),
    "thousands with commas alone": (["1,234", "2,345", "9,876"], [1234, 2345, 9876]),
    "thousands with points": (["1.234,50", "999,00", "1.234.567,25"], [1234.5, 999, 1234567.25]),
    "points that can only be between thousands": (["1.234.567", "1.000", "999"], [1234567, 1000, 999]),
    "thousands with blanks": (["1 234", "999", "12 345,5"], [1234, 999, 12345.5]),
    "blanks that do not break": (["1\u202f234", "999", "12\xa0345"], [1234, 999, 12345]),
    "thousands with apostrophes": (["1'234.5", "999", "1\u2019000"], [1234.5, 999, 1000]),
    "lakhs": (["12,34,567", "1,234", "5"], [1234567, 1234, 5]),
    "dollars": (["$1,200.50", "$3.00", "-$5"], [1200.5, 3, -5]),
    "euros after": (["1.200,50 €", "3,00 €", "5,10 €"], [1200.5, 3, 5.1]),
    "percent": (["12%", "3.5%", "7 %"], [12, 3.5, 7]),
    "a unit": (["70 kg", "82.5 kg", "64 kg"], [70, 82.5, 64]),
    "accounting": (["(1,200.00)", "300.00", "(5.25)"], [-1200, 300, -5.25]),
    "minus behind, and of typesetting": (["12-", "\u22127.5", "3"], [-12, -7.5, 3]),
    "exponents": (["1e3", "2.5E-2", "1e300"], [1000, 0.025, 1e300]),
}


@pytest.mark.parametrize("case", WRITTEN)
def test_numbers_in_many_notations(case: str) -> None:
    cells, expected = WRITTEN[case]
    assert numbers(cells) == expected


def test_values_that_are_not_there_and_a_few_stray_words_are_missing_and_said() -> None:
    cells = [*map(str, range(100, 130)), "-", "NA", "?", "", "error"]
    found = of(cells)
    assert (found.kind, found.missing, found.strange) == ("number", 5, ("error",))
    assert any("'error'" in mark and "missing" in mark for mark in found.marks)
    assert np.isnan(numbers(cells)[-5:]).all()


def test_a_comma_in_doubt_is_said_and_follows_a_decimal_mark_that_is_known() -> None:
    cells = ["1,234", "2,345"]
    assert "'1,234' is taken as 1234" in of(cells).marks
    assert numbers(cells, decimal=",") == [1.234, 2.345]
    assert numbers(["1.234", "2.345"]) == [1.234, 2.345]
    assert numbers(["1.234", "2.345"], decimal=",") == [1234, 2345]


WORDS = {
    "zeros in front": ["02134", "02139", "10001", "02134"],
    "more digits than numbers hold": ["12345678901234567890", "12345678901234567891"] * 2,
    "letters in front": ["A1", "A2", "A3", "A1"],
    "several units": ["5 kg", "300 g", "2 kg", "300 g"],
    "several currencies": ["$5", "€5", "$6", "€5"],
    "ranges": ["10-20", "20-30", "10-20"],
    "versions": ["1.2.3", "1.2.4", "1.2.3"],
    "censored": ["<5", ">100", "<5"],
}


@pytest.mark.parametrize("case", WORDS)
def test_texts_with_digits_that_are_no_numbers_are_levels(case: str) -> None:
    found = of(WORDS[case])
    assert found.kind == "category" and not found.left_out


DATES = {
    "iso": (["2024-02-29", "2023-12-01", "2024-03-01"], "2024-02-29"),
    "iso with times": (["2024-02-29T12:30:00", "2024-02-29 12:31", "2024-03-01T00:00:00Z"], "2024-02-29T12:30"),
    "a zone": (["2024-02-29T12:30:00+02:00", "2024-03-01T12:30:00+02:00"], "2024-02-29T10:30"),
    "day first": (["29/02/2024", "01/12/2023", "03/04/2024"], "2024-02-29"),
    "month first": (["02/29/2024", "12/01/2023", "03/04/2024"], "2024-02-29"),
    "points": (["01.02.2024", "03.04.2024"], "2024-02-01"),
    "year first with slashes": (["2024/02/29", "2023/12/01"], "2024-02-29"),
    "two digits": (["29/02/24", "31/12/99"], "2024-02-29"),
    "names of months": (["29 Feb 2024", "1-Dec-23", "3 April 2024"], "2024-02-29"),
    "names of months first": (["February 29, 2024", "Dec 1, 2023"], "2024-02-29"),
    "months": (["2024-02", "2023-12"], "2024-02-01"),
    "a time first": (["11:37:15  3 Sep 2020", "9:05  4 Sep 2020"], "2020-09-03T11:37:15"),
    "monthly, day first": (["01/01/1972", "01/02/1972", "01/03/1972"], "1972-01-01"),
    "monthly, month first": (["02/01/1972", "03/01/1972", "04/01/1972"], "1972-02-01"),
    "two digits on both sides of 1969": (["7/31/62", "8/1/75", "1/31/06"], "1962-07-31"),
    "two digits of a single year": (["7/31/62", "8/1/62"], "1962-07-31"),
    "american with half days": (["2/29/2024 1:30 PM", "12/1/2023 12:05 AM"], "2024-02-29T13:30"),
}


@pytest.mark.parametrize("case", DATES)
def test_dates_in_many_forms(case: str) -> None:
    cells, first = DATES[case]
    found = of(cells)
    assert found.kind == "moment", found
    seconds = Moment("c", 0.0, 0.0, form=found.form, first_year=found.first_year).read(Texts.of(cells))
    assert np.datetime64(int(seconds[0]), "s") == np.datetime64(first)
    assert not np.isnan(seconds).any()


def test_a_day_that_may_be_a_month_is_asked_about_and_the_advice_works() -> None:
    cells = ["03/04/2024", "05/06/2024"]
    with pytest.raises(DataError, match=r"'03/04/2024' may be day/month or month/day") as raised:
        of(cells, name="sold")
    assert "kinds={'sold': 'd/m/y'}" in str(raised.value)
    seconds = {
        wish: Moment("c", 0.0, 0.0, form=of(cells, wish).form).read(Texts.of(cells))[0] for wish in ("d/m/y", "m/d/y")
    }
    assert {wish: str(np.datetime64(int(s), "s"))[:10] for wish, s in seconds.items()} == {
        "d/m/y": "2024-04-03", "m/d/y": "2024-03-04",
    }  # fmt: skip


def test_words_before_four_digits_are_no_months() -> None:
    assert [of([f"{word}-1001", f"{word} 1002"] * 2).kind for word in ("ABC", "room", "ma", "june")] == [
        "category", "category", "category", "moment",
    ]  # fmt: skip


def test_two_digit_years_that_fill_a_century_stay_as_usual() -> None:
    assert of([f"7/31/{year:02}" for year in range(0, 100, 10)]).first_year == 1969


def test_a_date_that_is_none_is_missing_and_said() -> None:
    found = of([f"2024-01-{day:02}" for day in range(1, 29)] + ["2024-02-30"])
    assert (found.kind, found.missing) == ("moment", 1)
    assert any("2024-02-30" in mark for mark in found.marks)


def test_whole_numbers_are_days_only_where_all_of_them_are() -> None:
    days = [20240101, 20240229, 20231231, 20240301]
    assert of(days).kind == "moment"
    assert of([*days, 20240230]).kind == "number"
    assert of([2001, 2002, 2003]).kind == "number"
    seconds = Moment("c", 0.0, 0.0, form=of(days).form).read(np.array(days))
    assert str(np.datetime64(int(seconds[1]), "s"))[:10] == "2024-02-29"


def test_words_for_truth_in_several_cases_are_two_levels_for_the_model() -> None:
    column = Category("c", ("false", "true"))
    assert column.read(Texts.of(["TRUE", "false", "True", " true", None, "yes"])).tolist() == [2, 1, 2, 2, 0, 0]


def test_levels_that_are_numbers_are_found_in_other_writings_of_them() -> None:
    column = Category("c", ("1", "2"))
    assert column.read(Texts.of(["1.0", "2", "2.50", "02"])).tolist() == [1, 2, 0, 2]
    assert Category("c", ("02134", "2134")).read(Texts.of(["2134.0", "02134"])).tolist() == [0, 1]


def test_na_is_a_level_among_codes_of_two_letters_and_else_missing() -> None:
    assert of(["NA", "DE", "FR", "IT", "ES", "NA", "DE"]).keeps == ("NA",)
    found = of(["NA", "small", "large", "small", "large"])
    assert (found.keeps, found.missing) == ((), 1)


LEFT_OUT = {
    "one value": (["a", "a", "a"], "c", "a in every row"),
    "one number": ([2.5, 2.5], "c", "2.5 in every row"),
    "no value": ([None, "", "NA"], "c", "no value in any row"),
    "a text a row": ([f"t{i}x" for i in range(20)], "c", "a text of its own in every row"),
    "an id": ([17, 4, 9, 12], "customer_id", "a number of its own in every row"),
    "an id in camels": ([17, 4, 9, 12], "PassengerId", "a number of its own in every row"),
    "an index without a name": ([0, 1, 2, 3], "", "counts the rows"),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_columns_that_tell_nothing_of_new_rows_are_left_out_with_the_reason(case: str) -> None:
    cells, name, reason = LEFT_OUT[case]
    assert of(cells, name=name).left_out == reason


def test_numbers_count_the_rows_also_where_a_few_rows_are_gone() -> None:
    index = np.delete(np.arange(1, 101), [0, 1, 2, 50, 70])
    assert understood("No", index).marks == ("counts the rows",)
    assert understood("year", np.arange(1990, 2020)).marks == ()


def test_a_column_of_many_levels_is_understood_as_one_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    words = [*(f"w{i:05} {i}" for i in range(600)), "NA", " ?", *["w00003 3"] * 5, *["b"] * 3, *["a"] * 3]
    days = [f"1/{1 + i % 28}/{1900 + i // 28}" for i in range(600)]
    columns = [words, words + words, [f"{i},5" for i in range(600)], days, [f"t {i % 300}" for i in range(900)]]
    few = [of(cells) for cells in columns]
    monkeypatch.setattr("fallline.data.writing.MANY", 500)
    monkeypatch.setattr("fallline.data.understood.MOST_SORTED", 5)
    many = [of(cells) for cells in columns]
    assert [one.kind for one in many] == ["category", "category", "number", "moment", "category"]
    assert many[0].left_out == "a text of its own in nearly every row" and many[0].missing == 2
    assert many[0].about == "w00003 3, a, b and 599 more"
    assert few[:4] == many[:4]


def test_one_value_or_none_at_all_is_something_to_learn_from() -> None:
    assert not of(["yes", None, "yes", ""]).left_out


def test_a_person_decides() -> None:
    assert of([17, 4, 9, 12], "number", name="id").left_out == ""
    assert of([1, 2, 1, 2], "category").kind == "category"
    assert of(["1", "x", "2"], "number").strange == ("x",)
    with pytest.raises(ArgumentError, match="did you mean 'category'"):
        of([1, 2], "categry")
    with pytest.raises(DataError, match="cannot be taken as a date"):
        of(["a", "b"], "date")
