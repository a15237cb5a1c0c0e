"""The lesson `overfitting`: losses part on few rows, and further rows bring them nearer."""

import numpy as np


def test_the_training_loss_goes_on_falling_and_the_validation_loss_does_not(results) -> None:
    plain = results["overfitting"].plain
    assert plain.training[-1] < 0.1 * plain.validation[-1]
    assert plain.validation[plain.best] == plain.validation.min() <= plain.validation[-1]
    assert np.isfinite(plain.validation).all() and plain.training.size == 150


def test_further_rows_lower_the_validation_loss(results) -> None:
    found = results["overfitting"]
    lowest = [one.validation.min() for one in (found.plain, *found.more)]
    assert [one.name for one in found.more] == ["120 rows", "240 rows", "480 rows"]
    assert (np.diff(lowest) < 0).all()


def test_decay_and_few_units_keep_the_losses_nearer(results) -> None:
    found = results["overfitting"]

    def gap(one):
        return one.validation[-1] - one.training[-1]

    assert all(one.training[-1] > 2 * found.plain.training[-1] for one in found.remedies)
    assert gap(found.remedies[0]) < gap(found.plain)
    assert found.parameters == 64 * found.hidden + found.hidden + 10 * found.hidden + 10
