"""The lesson `hidden-units`: pictures, votes and removals of units against the network itself."""

import numpy as np
import pytest

from fallline import lessons
from fallline.lessons.hidden_units import CLASSES, drawn, shares


def test_a_picture_shows_signs_and_sizes() -> None:
    weights = np.zeros(64)
    weights[[0, 1, 8, 9, 63]] = [1.0, 0.3, -1.0, -0.3, 0.2]
    lines = drawn(weights, ascii_only=True)
    assert lines[0] == "##++" + " " * 12 and lines[1] == "==--" + " " * 12
    assert lines[7] == " " * 16 and len(lines) == 8
    assert set("".join(drawn(np.zeros(64), ascii_only=True))) == {" "}


def test_shares_by_class() -> None:
    # Rows of the classes 0, 0 and 1; the second is taken for a 1.
    logits = np.eye(CLASSES)[[0, 1, 1]]
    by_class, of_all = shares(logits, np.array([0, 0, 1]))
    assert by_class[0] == 0.5 and by_class[1] == 1 and np.isnan(by_class[2])
    assert of_all == pytest.approx(2 / 3)


def test_it_has_learnt_and_units_stand_in_the_order_of_their_need(results) -> None:
    found = results["hidden-units"]
    assert found.all_right > 0.9
    assert (np.diff(found.all_without) >= 0).all()
    assert found.all_without[0] < found.all_right
    assert found.dropped[0] == found.all_right and found.dropped[1] == found.all_without[-1]
    assert found.dropped[-1] < 0.2, "with every unit held, all rows get one answer"
    assert found.first.shape == (8, 64) and found.without.shape == (8, CLASSES)


def test_votes_are_the_largest_and_smallest_output_weights(results) -> None:
    found = results["hidden-units"]
    for unit in range(8):
        yes, no = found.votes(unit)
        assert found.second[unit, yes[0]] == found.second[unit].max()
        assert found.second[unit, no[0]] == found.second[unit].min()


def test_before_training_pictures_are_what_they_were() -> None:
    found = lessons.run("hidden-units", epochs=0, units=3)
    np.testing.assert_array_equal(found.first, found.before)
    np.testing.assert_allclose(found.kinship, 1.0)


def test_borders_that_are_never_bright_are_not_drawn(results) -> None:
    # The upper left pixel is 0 in every digit of the set.
    assert (results["hidden-units"].first[:, 0] == 0).all()


@pytest.mark.parametrize("values", [{"units": 1, "epochs": 2}, {"units": 64, "epochs": 1}, {"units": 5, "epochs": 0}])
def test_ends_of_ranges_fit(values) -> None:
    for text in lessons.screens("hidden-units", width=80, **values):
        assert len(text.split("\n")) <= 23 and max(map(len, text.split("\n"))) <= 80
