"""Candidates follow from the seed and their number; the first is the preset; all are drawn from the stated space."""

import numpy as np
import pytest

from fallline.committee.space import SPACE, candidate, in_words
from fallline.data import sets
from fallline.recipe import Choices, recipe_of


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_candidates_follow_from_seed_and_number(task: str) -> None:
    first = [candidate(number, 3, task) for number in range(6)]
    assert first == [candidate(number, 3, task) for number in range(6)] and first[0] == {}
    assert len({in_words(one) for one in first}) == 6 and candidate(1, 4, task) != first[1]
    assert all({*one} <= {*SPACE} for one in first) and ("label_smoothing" in first[1]) == (task == "classification")


def test_ingredients_of_a_candidate_are_in_its_recipe_and_choices_of_a_person_stay() -> None:
    data = sets.load("iris")
    drawn = {"hidden": (64,), "learning_rate": 0.05, "dropout": 0.0, "label_smoothing": 0.0}
    made = recipe_of(data, Choices(learning_rate=0.02, time_limit=1), ingredients=drawn)
    assert made.choices.hidden == (64,) and made.choices.learning_rate == 0.02 and made.choices.preset == "default"
    assert made.loss.label_smoothing == 0 and made.ingredients.dropout == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["iris", "diabetes"])
def test_every_candidate_is_a_training_that_can_begin(name: str) -> None:
    data = sets.load(name)
    for number in range(12):
        recipe = recipe_of(data, Choices(time_limit=1), ingredients=candidate(number, 0, data.task))
        params, shape = recipe.network.init(np.random.default_rng(0), (recipe.encoder.width,), np.float32)
        assert params and shape == (3 if data.classes else 1,)
