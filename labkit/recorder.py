"""Keeps what a builder says while it works, however much that is."""

import itertools
import time
from collections import Counter, defaultdict, deque

from labkit.progress import TAIL_BYTES


class Recorder:
    """Keeps the events of a build, of every step's log the tail alone.

    `tell(seconds, event)` hears each event and says which step it speaks of, as its position.
    """

    def __init__(self, tell):
        self._tell, self._began = tell, time.monotonic()
        self._count, self._kept = itertools.count(), []
        self._tails, self._bytes = defaultdict(deque), Counter()
        self._dropped = Counter()

    def clock(self) -> float:
        """Seconds since the build began."""
        return time.monotonic() - self._began

    def add(self, event: dict, log_bytes: int | None = None) -> None:
        """Take in an event; one that is a piece of log says how many bytes it has."""
        at = round(self.clock(), 4)
        position = self._tell(at, event)
        entry = (next(self._count), at, event)
        if log_bytes is None:
            self._kept.append(entry)
            return
        tail = self._tails[position]
        tail.append((*entry, log_bytes))
        self._bytes[position] += log_bytes
        while self._bytes[position] > TAIL_BYTES and len(tail) > 1:
            gone = tail.popleft()[3]
            self._bytes[position] -= gone
            self._dropped[position] += gone

    def events(self) -> tuple:
        """All that was kept, in the order in which it came."""
        logs = [entry[:3] for tail in self._tails.values() for entry in tail]
        events = [(at, event) for _n, at, event in sorted(self._kept + logs, key=lambda e: e[0])]
        for position, count in self._dropped.items():
            note = {"labkit": {"step": position, "dropped_bytes": count}}
            events.append((events[-1][0], note))
        return tuple(events)
