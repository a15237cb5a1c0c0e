"""A competitor's turn begins when the threads of the one before have gone to sleep."""

import threading
import time

from fallline.bench.worker import settle


def test_threads_that_go_on_in_circles_are_waited_for() -> None:
    ended = threading.Event()

    def circle() -> None:
        enough = time.thread_time() + 0.15
        while time.thread_time() < enough:
            pass
        ended.set()

    thread = threading.Thread(target=circle)
    thread.start()
    settle(most=60.0)
    assert ended.is_set()
    thread.join()


def test_a_thread_that_never_rests_is_not_waited_for_ever() -> None:
    over = threading.Event()

    def circle() -> None:
        while not over.is_set():
            pass

    thread = threading.Thread(target=circle)
    thread.start()
    settle(most=0.05)
    over.set()
    thread.join()
