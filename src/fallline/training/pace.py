"""How long a machine call is: short enough to answer Ctrl-C well within 0.2 s, long enough to cost nothing."""

CALL_SECONDS = 0.05
# A stop request does not wait for a call that takes longer.
LONG_SECONDS = 0.1


def takes_long(rate: float, nanoseconds: float) -> bool:
    """Whether the next call may take longer than a stop request should wait.

    rate: steps per second of the last call, 0 before the first. nanoseconds: about how long a step takes.
    """
    return (1 / rate if rate else nanoseconds * 1e-9) > LONG_SECONDS


class Pace:
    """How many steps fit into one call, judged by the last one."""

    def __init__(self) -> None:
        self.steps = 1

    def note(self, steps: int, seconds: float) -> None:
        """A call of `steps` steps took `seconds`."""
        fits = steps * CALL_SECONDS / max(seconds, 1e-9)
        # A single call may be fast by chance, so growth is by factors; slowing down is at once.
        self.steps = max(1, int(min(fits, 8 * self.steps)))
