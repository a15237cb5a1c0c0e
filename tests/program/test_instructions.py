"""Cuts between the parts of an instruction."""

from hypothesis import given
from hypothesis import strategies as st

from fallline.program.instructions import Split


@given(size=st.integers(1, 500), count=st.integers(1, 70), grain=st.sampled_from([1, 6, 64]))
def test_parts_cover_the_whole_in_order_and_begin_at_whole_grains(size, count, grain):
    edges = Split(0, size, (), grain).edges(count)
    assert (len(edges), edges[0], edges[-1]) == (count + 1, 0, size)
    assert edges == sorted(edges)
    assert all(edge % grain == 0 for edge in edges[:-1] if edge != size)


def test_parts_are_about_the_same():
    assert Split(0, 1000, (), 64).edges(2) == [0, 512, 1000]
    assert Split(0, 7, ()).edges(3) == [0, 2, 4, 7]
