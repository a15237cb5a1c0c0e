"""scikit-learn's callbacks (`set_callbacks`, experimental there): the one file that knows their protocol.

Where the installed scikit-learn has none, estimators have no `set_callbacks`, and all else is as ever.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

__all__ = ["CallbackSupport", "Told", "managed"]

F = TypeVar("F", bound=Callable[..., Any])
Attributes = Callable[[], dict[str, Any]]

try:
    from sklearn.callback import CallbackSupportMixin as CallbackSupport
    from sklearn.callback import with_callbacks
except ImportError:  # scikit-learn before 1.9

    class CallbackSupport:  # type: ignore[no-redef]
        """Nothing to support."""

    with_callbacks = None


def managed(method: F) -> F:
    """A fit after which the callbacks are torn down, however it ends."""
    return method if with_callbacks is None else cast(F, with_callbacks(method))


class Told:
    """The callbacks of an estimator during one fit: a task for the fit, and one in it for each epoch."""

    def __init__(self, estimator: Any, epochs: int, X: Any, y: Any) -> None:
        """X, y: as the caller gave them."""
        self._estimator, self._data, self._epochs, self._begun = estimator, {"X": X, "y": y}, epochs, 0
        self._fit: Any = None
        self._epoch: Any = None
        has_any = getattr(estimator, "_skl_callbacks", ()) or hasattr(estimator, "_parent_callback_ctx")
        if with_callbacks is not None and has_any:
            self._fit = estimator._init_callback_context(max_subtasks=epochs)
            self._fit.call_on_fit_task_begin(estimator=estimator, **self._data)
            self._begin()

    @property
    def anybody(self) -> bool:
        return self._fit is not None

    def _begin(self) -> None:
        self._epoch = None
        if self._begun < self._epochs:
            self._begun += 1
            self._epoch = self._fit.subcontext(task_name="epoch")
            self._epoch.call_on_fit_task_begin(estimator=self._estimator, **self._data)

    def epoch_ended(self, attributes: Attributes) -> bool:
        """Tell of an epoch; whether a callback asks to stop. attributes: a copy of the estimator predicts with them."""
        told = {"estimator": self._estimator, "reconstruction_attributes": attributes, **self._data}
        stop = bool(self._epoch.call_on_fit_task_end(**told))
        self._begin()
        return stop

    def ended(self, attributes: Attributes) -> None:
        """Tell of the end of the fit. The task of an epoch that was never made ends with nothing."""
        if self._epoch is not None:
            self._epoch.call_on_fit_task_end(estimator=self._estimator)
        told = {"estimator": self._estimator, "reconstruction_attributes": attributes, **self._data}
        self._fit.call_on_fit_task_end(**told)
