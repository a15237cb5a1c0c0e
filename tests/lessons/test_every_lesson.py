"""The laws of all lessons: their place in the table, their options, and screens that fit a terminal."""

import pytest

from fallline import lessons
from fallline.errors import ArgumentError, ArgumentTypeError, GraphError
from fallline.lessons.lesson_table import lesson
from fallline.lessons.page import LINES, joined
from fallline.ranges import Range
from fallline.typesetting import cells

NAMES = [
    "adaptive",
    "brute-force",
    "chain-rule",
    "closed-form",
    "critical-points",
    "descent",
    "gates",
    "gradient-cost",
    "hidden-units",
    "loss",
    "mini-batch",
    "momentum",
    "overfitting",
    "regression",
    "softmax",
    "step-size",
    "stuck",
    "two-layers",
    "vanishing",
]


def test_these_are_the_lessons() -> None:
    assert list(lessons.LESSONS) == NAMES == sorted(NAMES)
    for name, one in lessons.LESSONS.items():
        assert one.name == name
        assert one.summary and "\n" not in one.title + one.summary and len(one.summary) < 63
        assert one.function.__doc__


def test_an_unknown_lesson_gets_the_nearest_name() -> None:
    with pytest.raises(ArgumentError, match="did you mean 'step-size'"):
        lessons.run("stepsize")


@pytest.mark.parametrize("name", NAMES)
def test_a_lesson_reads_as_text_of_its_width(name, results) -> None:
    one = lessons.LESSONS[name]
    wide = joined(one.tell(results[name], width=100, ascii_only=False))
    plain = joined(one.tell(results[name], width=100, ascii_only=True))
    assert plain.isascii() and not wide.isascii()
    for text in (wide, plain):
        assert max(cells(line) for line in text.split("\n")) <= 100
        assert "None" not in text and "array(" not in text and "{" not in text
        assert not any(line != line.rstrip() for line in text.split("\n"))
    narrow = joined(one.tell(results[name], width=60, ascii_only=True))
    # Formulas stand as they are; words and pictures keep to the width.
    assert max(len(line) for line in narrow.split("\n") if not line.startswith("    ")) <= 60


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.parametrize("plain", [True, False])
def test_every_screen_of_a_lesson_fits_a_terminal(name, width, plain, results) -> None:
    for text in lessons.LESSONS[name].tell(results[name], width=width, ascii_only=plain):
        lines = text.split("\n")
        assert len(lines) <= LINES, text
        assert max(map(cells, lines)) <= width, text


@pytest.mark.parametrize("name", NAMES)
def test_answers_to_the_questions_of_a_lesson_fit_too(name, small) -> None:
    for asked in lessons.LESSONS[name].asks:
        for text in lessons.screens(name, width=80, **{**small.get(name, {}), **asked.values}):
            lines = text.split("\n")
            assert len(lines) <= LINES and max(map(cells, lines)) <= 80, text


@pytest.mark.parametrize("name", NAMES)
def test_the_options_of_a_lesson_are_keywords_with_a_range_that_holds_their_default(name) -> None:
    one = lessons.LESSONS[name]
    for option, value in one.defaults.items():
        assert one.options[option].doc, f"{option} is not described"
        assert one.options[option].problem(value) is None
    for asked in one.asks:
        assert set(asked.values) <= set(one.options)
        for option, value in asked.values.items():
            assert one.options[option].problem(value) is None
        assert len(lessons.command(name, **asked.values)) < 78


def test_an_option_of_a_lesson_is_checked_where_it_is_called() -> None:
    with pytest.raises(ArgumentTypeError, match="there is no argument 'steeps'; did you mean 'steps'"):
        lessons.run("descent", steeps=3)
    with pytest.raises(ArgumentError, match="learning_rate has to be a number > 0 and <= 10, got -1"):
        lessons.tell("descent", learning_rate=-1)
    assert "After 2 steps" in lessons.tell("descent", steps=2)


def test_questions_stand_below_a_lesson_as_commands() -> None:
    last = lessons.screens("descent", width=80)[-1].split("\n")
    assert last[-5:-3] == ["And what if?", "  a step that overshoots, and still arrives"]
    assert last[-3].strip() == lessons.command("descent", learning_rate=0.5)


def test_report_runs_a_lesson() -> None:
    assert lessons.tell("chain-rule", width=10).startswith("The chain rule")


def test_an_option_has_no_name_that_is_taken() -> None:
    enter = lesson("wide", "Wide", "wide", lambda result, **how: [""], options={"width": Range("units", at_least=1)})
    with pytest.raises(GraphError, match="width is an argument"):
        enter(lambda width=3: width)
