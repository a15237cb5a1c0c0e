"""A diagnosis by the verdicts on the network and the data alone: tests of these need not find where a run stands."""

from typing import Any
from unittest.mock import patch

import fallline as fl
from fallline.diagnosis import diagnosed, verdict_table
from fallline.diagnosis.finding import Diagnosis

OURS = {
    "batch_noise", "constant_inputs", "constant_target", "exploding_gradient", "idle_units", "leaked_target",
    "overfitting", "rows_in_both", "same_answer", "suspicious_labels", "unscaled_inputs", "unscaled_target",
    "unsuited_loss", "vanishing_gradient", "worse_than_linear",
}  # fmt: skip


class Ours(dict[str, Any]):
    """The table of verdicts, which is full once a diagnosis has begun, as if it held these alone."""

    def values(self) -> Any:
        return [one for name, one in verdict_table.VERDICTS.items() if name in OURS]


def told(run: Any, data: Any = None) -> Diagnosis:
    with patch.object(diagnosed, "VERDICTS", Ours()):
        return fl.diagnose(run, data)
