"""How long a machine call is: short enough to answer Ctrl-C well within 0.2 s, long enough to cost nothing."""

CALL_SECONDS = 0.05


class Pace:
    """How many steps fit into one call, judged by the last one."""

    def __init__(self) -> None:
        self.steps = 1

    def note(self, steps: int, seconds: float) -> None:
        """A call of `steps` steps took `seconds`."""
        fits = steps * CALL_SECONDS / max(seconds, 1e-9)
        # A single call may be fast by chance, so growth is by factors; slowing down is at once.
        self.steps = max(1, int(min(fits, 8 * self.steps)))
