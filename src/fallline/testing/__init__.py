"""What users test their own functions and ops with."""

from fallline.testing.gradients import check_grads

__all__ = ["check_grads"]
