"""A small table with texts and gaps, of either task."""

from collections.abc import Callable

import numpy as np
import pytest

from fallline.data.dataset import Dataset
from fallline.table import as_table


@pytest.fixture
def table() -> Callable[[str], Dataset]:
    def made(task: str) -> Dataset:
        rng = np.random.default_rng(0)
        size, colour = rng.normal(size=61), rng.choice(np.array(["red", "blue", None], object), 61)
        y = size + 2 * (colour == "red")
        size[::9] = np.nan
        told = task == "classification"
        columns = as_table({"size": size, "colour": colour})
        codes = (y > 0.5).astype(np.int64)
        return Dataset("t", columns, codes if told else y, columns.names, "y", task, ("no", "yes") if told else ())

    return made
