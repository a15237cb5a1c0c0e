"""The lesson `mini-batch`: gradients of rows against their mean, and the noise of batches against its formula."""

import numpy as np
import pytest

from fallline.lessons import mini_batch


def test_noise_falls_with_the_square_root_of_the_batch(results) -> None:
    found = results["mini-batch"]
    assert [one.size for one in found.noises] == [1, 4, 16, 64, 256]
    for one in found.noises:
        assert one.expected == pytest.approx(np.sqrt(found.spread / one.size * (1 - one.size / found.rows)))
        assert one.seen == pytest.approx(one.expected, rel=0.15)


def test_the_noise_of_small_cases_is_that_of_every_batch_there_is() -> None:
    # Three rows with the gradients 0, 3 and 6: mean 3, S = (9 + 0 + 9) / 2 = 9. Batches of two have the means 1.5, 3
    # and 4.5, which are off by 1.5, 0 and 1.5: a mean square of 1.5 = 9 / 2 (1 - 2 / 3).
    gradients = np.array([[0.0], [3.0], [6.0]])
    seen = mini_batch.distances(gradients, 2, 4000, np.random.default_rng(0))
    assert seen**2 == pytest.approx(1.5, rel=0.05)
    assert mini_batch.distances(gradients, 3, 5, np.random.default_rng(0)) == 0


def test_a_row_gains_by_its_own_step_and_others_lose_where_it_pulls_against_them(results) -> None:
    found = results["mini-batch"]
    assert [w.cosine for w in found.wishes] == sorted(w.cosine for w in found.wishes)
    assert found.wishes[0].cosine < -0.1, "some row pulls against the others"
    for one in found.wishes:
        assert one.own[1] < one.own[0]
        if one.cosine < -0.1:
            assert one.everyone[1] > one.everyone[0]
    assert found.average[1] < found.average[0]
    assert found.length < found.row_length
    assert found.cosines.shape == (found.rows,)


def test_cosines_and_lengths_add_up_to_the_mean(results) -> None:
    # The mean gradient's square is the mean of |g_i| |g| cos_i; its spread follows from the same numbers.
    found = results["mini-batch"]
    assert found.noise_scale == pytest.approx(found.spread / found.length**2)
    assert -1 <= found.cosines.min() < found.cosines.mean() < found.cosines.max() <= 1


def test_trainings_count_their_steps(results) -> None:
    found = results["mini-batch"]
    for one in found.courses:
        assert one.steps == 3 * -(-found.rows // min(one.size, found.rows))
        assert one.learning_rate in mini_batch.RATES and one.losses.size == 3
        assert (np.diff(one.seconds) > 0).all()
        assert one.at(0.0) == np.inf and one.at(np.inf) == one.losses[-1]
