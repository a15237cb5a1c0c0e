"""Terminal pictures: they keep to their width, take any numbers, and put a point where it belongs."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallline.insight import picture
from fallline.typesetting import cells, fit, number, table

ANY_FLOATS = st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=12)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
LOOKS = {"width": st.integers(1, 120), "height": st.integers(1, 30), "ascii_only": st.booleans()}


def widest(text: str) -> int:
    return max(cells(line) for line in text.split("\n"))


@given(st.dictionaries(st.text(max_size=8), ANY_FLOATS, max_size=4), st.booleans(), st.booleans(), st.booleans(),
       st.fixed_dictionaries(LOOKS))  # fmt: skip
def test_a_line_chart_of_any_numbers_keeps_to_its_width(series, log_x, log_y, points, looks) -> None:
    text = picture.line_chart(series, log_x=log_x, log_y=log_y, points=points, title="t" * 200, x_label="x" * 200,
                              y_label="y" * 200, **looks)  # fmt: skip
    assert widest(text) <= max(looks["width"], 24)
    assert not looks["ascii_only"] or all(line.isascii() for line in text.split("\n")[2:-2])
    assert text == picture.line_chart(series, log_x=log_x, log_y=log_y, points=points, title="t" * 200,
                                      x_label="x" * 200, y_label="y" * 200, **looks)  # fmt: skip


@given(st.lists(st.lists(st.floats(), min_size=3, max_size=3), min_size=1, max_size=5),
       st.lists(st.tuples(st.floats(), st.floats()), max_size=15),
       st.tuples(FINITE, FINITE).filter(lambda ends: ends[0] < ends[1]), st.fixed_dictionaries(LOOKS))  # fmt: skip
def test_a_contour_of_any_numbers_keeps_to_its_width(values, path, x_range, looks) -> None:
    text = picture.contour(values, path=path, x_range=x_range, y_range=(-1, 1), marks={"m": (0, 0)}, **looks)
    assert widest(text) <= max(looks["width"], 24)


@given(
    st.dictionaries(st.text(max_size=30), st.floats(), max_size=6), st.integers(20, 100), st.booleans(), st.booleans()
)
def test_bars_of_any_numbers_keep_to_their_width(values, width, log, ascii_only) -> None:
    text = picture.bars(values, width=width, log=log, ascii_only=ascii_only, title="bars")
    assert widest(text) <= width
    assert len(text.split("\n")) == len(values) + 1


@given(st.lists(st.lists(st.one_of(st.text(max_size=60), st.floats(), st.integers()), max_size=4), max_size=5),
       st.integers(1, 120))  # fmt: skip
def test_a_table_keeps_to_its_width(rows, width) -> None:
    text = table(rows, ["name", "a long header of many letters"], width=width)
    assert widest(text) <= width
    assert len(text.split("\n")) == len(rows) + 2


def test_the_highest_point_is_on_the_first_row_and_the_lowest_on_the_last() -> None:
    rows = picture.line_chart([0.0, 10.0], width=40, height=5, points=True).split("\n")
    assert rows[0].endswith("●") and rows[4].partition("┤")[2].startswith("●")
    assert rows[0].startswith("10┤") and rows[4].startswith(" 0┤")


def test_a_straight_line_in_logarithms_is_drawn_straight() -> None:
    x = np.array([1.0, 10.0, 100.0, 1000.0])
    rows = picture.line_chart((x, x**2), log_x=True, log_y=True, points=True, width=32, height=10, ascii_only=True)
    marks = [(i, line.index("o")) for i, line in enumerate(rows.split("\n")) if "o" in line]
    assert [row for row, _ in marks] == [0, 3, 6, 9]
    assert len({a[1] - b[1] for a, b in itertools.pairwise(marks)}) == 1


def test_two_series_are_told_apart_by_letters() -> None:
    text = picture.line_chart({"train": np.linspace(0, 1, 50), "validation": np.linspace(1, 0, 50)}, width=60)
    assert "a train   b validation" in text
    fields = [row.partition("│")[2] or row.partition("┤")[2] for row in text.split("\n")[:14]]
    rising = [row.index("a") for row in reversed(fields) if "a" in row]
    falling = [row.index("b") for row in fields if "b" in row]
    assert len(rising) > 2 and rising == sorted(rising) and len(falling) > 2 and falling == sorted(falling)


def test_what_cannot_be_drawn_is_counted() -> None:
    assert "(2 not drawn: not finite)" in picture.line_chart([1, math.nan, 3, math.inf, 2])
    assert "(1 not drawn: not finite, or not above 0)" in picture.line_chart([1, 0, 3], log_y=True)
    assert picture.line_chart([], title="loss") == "loss\n(no numbers to draw)"


def test_a_spike_in_a_long_series_is_not_lost() -> None:
    y = np.zeros(100_000)
    y[54_321] = 1.0
    top = picture.line_chart(y, width=60, height=6).split("\n")[0]
    assert any(0x2800 < ord(c) < 0x2900 for c in top)


def test_a_contour_puts_path_and_marks_where_they_belong() -> None:
    values = picture.grid_of(lambda x, y: x * x + y * y, (-2, 2), (-2, 2), 21, 21)
    rows = picture.contour(values, x_range=(-2, 2), y_range=(-2, 2), path=[(-2, 2), (0, 0)], marks={"Z": (2, -2)},
                           width=44, height=11, ascii_only=True).split("\n")  # fmt: skip
    field = [row[3:] for row in rows[:11]]
    assert field[0][0] == "0" and field[5][20] == "1" and field[10][40] == "Z"
    assert field[5][23] == " " and field[0][40] == "@", "low is light, high is dark"


def test_contour_lines_lie_between_low_and_high() -> None:
    # A plane that rises to the right, one line: it must stand in the middle column, from top to bottom.
    rows = picture.contour([[0.0, 1.0]], x_range=(0, 1), y_range=(0, 1), levels=1, width=44, height=6).split("\n")
    columns = {i for row in rows[:6] for i, c in enumerate(row[4:]) if 0x2800 < ord(c) < 0x2900}
    assert columns and all(abs(c - 20) <= 1 for c in columns)


def test_each_line_of_a_contour_has_a_letter_and_its_height_below() -> None:
    # A plane from 0 to 4 parted into four: its lines stand at 1, 2 and 3, a quarter, a half and three quarters along.
    looks = {"x_range": (0, 4), "y_range": (0, 1), "levels": 3, "width": 44, "height": 6}
    rows = picture.contour([[0.0, 1.0, 2.0, 3.0, 4.0]], **looks).split("\n")
    assert rows[-1] == "heights:  a 1  b 2  c 3"
    for letter, share in zip("abc", (0.25, 0.5, 0.75)):
        (row,) = [row for row in rows[:6] if letter in row]
        assert row.index(letter) - 4 == pytest.approx(40 * share, abs=2)
    rows = picture.contour([[0.0, 1.0, 2.0, 3.0, 4.0]], ascii_only=True, **looks).split("\n")
    assert rows[-1] == "heights:  [ ]  1 [-]  2 [*]  3 [@]"


def test_letters_of_a_contour_keep_off_its_marks_and_flat_ground_has_none() -> None:
    looks = {"x_range": (0, 4), "y_range": (0, 1), "levels": 2, "width": 44, "height": 6}
    rows = picture.contour([[0.0, 1.0, 3.0, 4.0]], marks={"a": (2, 0.5)}, **looks).split("\n")
    assert rows[-1].startswith("heights:  b ") and "  c " in rows[-1]
    assert "heights" not in picture.contour([[1.0, 1.0]], **looks)


def test_bars_are_as_long_as_their_numbers() -> None:
    rows = picture.bars({"one": 1.0, "three": 3.0}, width=40).split("\n")
    assert rows[1].count("█") == pytest.approx(3 * rows[0].count("█"), abs=3)
    assert picture.bars({"a": 1.0, "b": 100.0}, log=True, width=40, ascii_only=True).count("#") > 20


def test_ticks_are_round_numbers_inside_the_axis() -> None:
    assert picture.Axis(0.0, 1.0, False).ticks(2) == [(0.0, "0"), (0.5, "0.5"), (1.0, "1")]
    assert [text for _, text in picture.Axis(-2.0, 2.0, True).ticks(5)] == ["0.01", "0.1", "1", "10", "100"]


@given(FINITE, FINITE, st.booleans(), st.integers(1, 9))
def test_every_axis_has_at_least_two_ticks_that_lie_on_it(a, b, log, count) -> None:
    values = np.array([a, b])
    values = np.abs(values) + 1e-300 if log else values
    axis = picture.Axis.over(values, log)
    ticks = axis.ticks(count)
    assert len(ticks) >= 2
    places = axis.place(np.array([v for v, _ in ticks]), 101)
    assert (places >= 0).all() and (places <= 100).all()


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (-0.0, "0"), (1.0, "1"), (0.123456, "0.1235"), (12345.678, "12346"), (1e-9, "1e-9"),
     (-2.5e12, "-2.5e12"), (1234567, "1,234,567"), (math.nan, "nan"), (-math.inf, "-inf"), (True, "true"),
     (np.float32(0.5), "0.5")],
)  # fmt: skip
def test_numbers_are_short(value, text) -> None:
    assert number(value) == text


def test_text_from_outside_cannot_steer_the_terminal() -> None:
    assert fit("a\x1b[31mred\nline", 40) == "a?[31mred line"
    assert fit("abcdefgh", 5) == "abc.."


def test_numbers_stand_to_the_right_and_text_to_the_left() -> None:
    assert table([["adam", 1], ["gd", 100]], ["name", "steps"], ascii_only=True).split("\n") == [
        "name  steps", "-----------", "adam      1", "gd      100"]  # fmt: skip


def test_only_unicode_streams_get_drawing_characters() -> None:
    assert not picture.needs_ascii("utf-8")
    assert picture.needs_ascii("ascii") and picture.needs_ascii("cp1252") and picture.needs_ascii(None)
