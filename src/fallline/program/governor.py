"""Whether several lanes pay at the moment. Where others keep the cores busy, a lane that works may not be running while
the others wait for it; then one lane alone is quicker. Knows times only, and never changes a result.
"""

import time
from collections.abc import Callable

# Lanes pay where the work of all of them, in processor time, is more than this many times the time that passed:
# one lane would have taken at least the processor time.
LEAST_GAIN = 1.1
# ... or, when they are tried again, where a step takes at most this share of its time on one lane before.
QUICKER = 0.9
# Seconds over which that is judged; a lane that is put aside for an instant, by a clock's tick, says nothing.
WINDOW = 0.02
# Seconds on one lane before lanes are tried again, at first and at most, and as multiples of a trial's time.
FIRST_PAUSE, LONGEST_PAUSE, TRIALS = 0.05, 2.0, 20.0
# Seconds that a trial is to take, about, and on lanes that pay until the next pause is a short one again.
TRIAL, CALM = 0.004, 1.0


class Outlook:
    """State that all programs of a process share: when the next one may try several lanes, and the pause after that."""

    def __init__(self) -> None:
        self.next_trial, self.pause = 0.0, FIRST_PAUSE

    def put_off(self, now: float, took: float = 0.0) -> None:
        """Lanes did not pay, and finding that out took so many seconds."""
        self.next_trial = now + max(self.pause, TRIALS * took)
        self.pause = min(2 * self.pause, LONGEST_PAUSE)


COMMON = Outlook()


class Governor:
    """Chooses between the lanes of one program and one lane, from run to run.

    A new program takes its lanes unless the process has just seen that lanes do not pay.
    """

    def __init__(self, outlook: Outlook = COMMON, clock: Callable[[], float] = time.perf_counter) -> None:
        self._outlook, self._clock = outlook, clock
        self._shared = clock() >= outlook.next_trial
        self._trying = False
        self._step_alone = 0.0  # seconds of a step on one lane, lately
        self._seconds = self._useful = self._calm = 0.0

    def choose(self, steps: int) -> tuple[bool, int]:
        """Whether the next run is to take all lanes, and how many steps it may be at most."""
        if not self._shared and self._clock() >= self._outlook.next_trial and self._step_alone > 0:
            self._trying = True
            return True, max(1, min(steps, int(TRIAL / self._step_alone)))
        return self._shared, steps

    def alone(self, steps: int, seconds: float) -> None:
        """A run on one lane made so many steps."""
        if steps:
            self._step_alone = seconds / steps

    def shared(self, steps: int, seconds: float, useful: float, left: bool) -> None:
        """A run on all lanes made so many steps. useful: processor seconds of all lanes without those spent waiting.

        left: it ended early because lanes waited for most of the time.
        """
        if self._trying:
            self._trying = False
            pays = not left and useful > LEAST_GAIN * seconds and seconds < QUICKER * steps * self._step_alone
            if pays:
                self._shared, self._outlook.next_trial = True, 0.0
                self._seconds = self._useful = self._calm = 0.0
            else:
                self._outlook.put_off(self._clock(), seconds)
            return
        self._seconds += seconds
        self._useful += useful
        if left or self._seconds > WINDOW:
            self._judge(left)

    def _judge(self, left: bool) -> None:
        seconds, useful = self._seconds, self._useful
        self._seconds = self._useful = 0.0
        if left or useful < LEAST_GAIN * seconds:
            self._shared, self._calm = False, 0.0
            self._outlook.put_off(self._clock())
            return
        self._calm += seconds
        if self._calm > CALM:
            self._outlook.pause = FIRST_PAUSE


__all__ = ["Governor"]
