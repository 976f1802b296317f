"""How one server may be asked, by all connections to it together."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

# More runs in one answer keep a server worker busy for so long that uvicorn may take
# it for dead and kill it: a thousand take it 2 to 5 s.
RUNS_PER_REQUEST = 300
FEWEST_RUNS = 20
DEAR = 0.2  # seconds; a listing takes 10 to 50 ms, unless each request is a toll
ENOUGH = 5  # listings before that is judged


class Pace:
    """When the next request may be sent, and how much it may ask for at once.

    With a budget, requests are spread evenly over the minute: a burst at its beginning
    is what a budget is to spare the server. Shared by threads.
    """

    def __init__(
        self,
        requests_per_minute: int | None = None,
        *,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.runs_per_request = RUNS_PER_REQUEST
        self.may_batch = True  # until the server says that it cannot
        self._listings = 0
        self._listing_seconds = 0.0
        self._interval = 60 / requests_per_minute if requests_per_minute else 0.0
        self._sleep = sleep
        self._lock = Lock()
        self._next = 0.0  # on the monotonic clock

    def wait(self) -> None:
        """Wait for this request's turn."""
        with self._lock:
            now = time.monotonic()
            turn = max(self._next, now)
            self._next = turn + self._interval
        if turn > now:
            self._sleep(turn - now)

    def hold(self, seconds: float) -> None:
        """Let nobody ask for so long: the server said so to one of the connections."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)

    def ease(self) -> None:
        """Ask for half as many runs at once from now on: it was too much."""
        with self._lock:
            self.runs_per_request = max(FEWEST_RUNS, self.runs_per_request // 2)

    def note_listing(self, seconds: float) -> None:
        with self._lock:
            self._listings += 1
            self._listing_seconds += seconds

    @property
    def is_dear(self) -> bool:
        """Tell whether a request takes so long that several should be asked in one."""
        with self._lock:
            enough = self._listings >= ENOUGH
            return enough and self._listing_seconds > DEAR * self._listings
