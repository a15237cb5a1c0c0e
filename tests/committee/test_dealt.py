"""Folds of whole groups: every row once, no group in two, about equal."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fallline.committee.dealt import of_groups


@given(st.lists(st.integers(0, 8), min_size=2, max_size=60), st.integers(2, 6), st.integers(0, 99))
def test_folds_keep_groups_whole_and_have_every_row_once(codes: list[int], size: int, seed: int) -> None:
    groups = np.array(codes)
    found = of_groups(groups, size, seed)
    if len({*codes}) < 2:
        assert found == ()
        return
    assert len(found) == min(size, len({*codes}))
    assert sorted(np.concatenate([one.rows for one in found])) == [*range(len(codes))]
    inside = [{*groups[one.rows]} for one in found]
    assert sum(map(len, inside)) == len({*codes}) and all(map(len, inside))


def test_the_largest_groups_are_dealt_first() -> None:
    # Groups of 4, 3, 2 and 1 rows: 4 and 1 come together, 3 and 2 too.
    found = of_groups(np.repeat([0, 1, 2, 3], [4, 3, 2, 1]), 2, seed=0)
    assert [len(one.rows) for one in found] == [5, 5]
