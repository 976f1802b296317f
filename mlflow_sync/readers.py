"""Threads that ask one tracking server, so many at once as it is set to bear.

The sync decides and writes; the threads only ask. Each has a connection of its own, all
share one pace. Waiting is never mute: `idle` is called, so that the lease stays held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from queue import SimpleQueue
from typing import Any, Generic, Self, TypeVar

from mlflow_sync.client import Client, Connection, Pace

T = TypeVar("T")

PATIENCE = 5.0  # seconds between two looks at whether anybody still waits


class Readers:
    """A few clients of one server; use it as a context manager.

    Leaving it lets the requests under way end, and begins no other. `requests` and
    `bytes` count what all of them sent and received so far.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        concurrency: int,
        pace: Pace,
        idle: Callable[[], None],
    ) -> None:
        self.pace = pace
        self._idle = idle
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="mlflow")
        # A list is read page by page, each in another thread, with the same client.
        self.lister = Client(connection, pace=pace)
        self._clients = [Client(connection, pace=pace) for _ in range(concurrency)]
        self._free: SimpleQueue[Client] = SimpleQueue()
        for client in self._clients:
            self._free.put(client)
        self._under_way: set[Future[Any]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        while wait(self._under_way, timeout=PATIENCE).not_done:
            self._idle()
        for client in (self.lister, *self._clients):
            client.close()

    def submit(self, ask: Callable[[Client], T]) -> Future[T]:
        """Let a thread ask; the answer, or its SyncError, is for `result`."""

        def borrowed() -> T:
            client = self._free.get()
            try:
                return ask(client)
            finally:
                self._free.put(client)

        return self._follow(self._threads.submit(borrowed))

    def result(self, future: Future[T]) -> T:
        """Wait for an answer. Raises what asking for it raised."""
        while not future.done():
            wait((future,), timeout=PATIENCE)
            if not future.done():
                self._idle()
        return future.result()

    def pages(self, pages: Iterator[T]) -> Pages[T]:
        """Return the pages, each asked for by a thread, with the client that they use."""
        return Pages(self, pages)

    def next_of(self, pages: Iterator[T]) -> Future[T | None]:
        return self._follow(self._threads.submit(next, pages, None))

    def _follow(self, future: Future[T]) -> Future[T]:
        self._under_way.add(future)
        future.add_done_callback(self._under_way.discard)
        return future

    @property
    def requests(self) -> int:
        return sum(client.requests for client in (self.lister, *self._clients))

    @property
    def bytes(self) -> int:
        return sum(client.bytes for client in (self.lister, *self._clients))


class Pages(Generic[T]):
    """The pages of a list, none of which is None.

    Who iterates calls `prefetch` as soon as the next one may be in memory as well.
    """

    def __init__(self, readers: Readers, pages: Iterator[T]) -> None:
        self._readers = readers
        self._pages = pages
        self._next: Future[T | None] | None = None

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        self.prefetch()
        future, self._next = self._next, None
        page = self._readers.result(future) if future else None
        if page is None:
            raise StopIteration
        return page

    def prefetch(self) -> None:
        """Let the next page be asked for; nothing happens while one is."""
        if self._next is None:
            self._next = self._readers.next_of(self._pages)
