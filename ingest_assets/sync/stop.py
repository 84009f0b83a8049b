"""A request to end at a safe place: after the page whose commit is under way."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


def process_ends() -> bool:
    """Tell whether no thread can be started any more, so that nothing can be read.

    So a run ends whose step failed between two results, while other threads read the accounts that are left:
    Python waits for them, and gives them no new thread.
    """
    try:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(int)
    except RuntimeError:
        return True
    return False


class Stop:
    """What a signal, or the end of a run, asks of those who read accounts in other threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal may come while its thread holds it
        self._calls: list[Callable[[], object]] = []
        self.requested = False

    def request(self) -> None:
        with self._lock:  # nobody who is called leaves meanwhile
            self.requested = True
            for call in list(self._calls):
                call()

    def wait(self, seconds: float) -> bool:
        """Wait for so long, or until it is requested; tell whether it is."""
        asked = threading.Event()
        with self.calls(asked.set):
            return asked.wait(seconds)

    @contextmanager
    def calls(self, call: Callable[[], object]) -> Iterator[None]:
        """Have something called once it is requested, or at once if it was, for as long as the block lasts."""
        with self._lock:
            self._calls.append(call)
            requested = self.requested
        if requested:
            call()
        try:
            yield
        finally:
            with self._lock:
                self._calls.remove(call)
