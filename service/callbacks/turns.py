"""Whose turn it is: subjects wait for a place, hosts take turns, and none takes more than its share."""

from collections import Counter, deque

from service.store.keys import CallbackKeys

MOST_AT_ONCE = 64
MOST_FOR_A_HOST = 8
MOST_WAITING = 4_096
MOST_WAITING_FOR_A_HOST = 256


class Turns:
    """Subjects that wait for a place or have one. Bounded: what finds no room is left in the store."""

    def __init__(self) -> None:
        self._hosts: dict[CallbackKeys, str] = {}
        self._waiting: dict[str, deque[CallbackKeys]] = {}
        self._at_work: Counter[str] = Counter()

    @property
    def known(self) -> frozenset[CallbackKeys]:
        return frozenset(self._hosts)

    def add(self, subject: CallbackKeys, host: str) -> bool:
        """Let it wait; ``False``: there is no room for it."""
        waiting = self._waiting.get(host, deque())
        if len(waiting) >= MOST_WAITING_FOR_A_HOST or len(self._hosts) >= MOST_WAITING:
            return False
        waiting.append(subject)
        self._waiting[host] = waiting
        self._hosts[subject] = host
        return True

    def next(self) -> CallbackKeys | None:
        """Give a place to whoever's turn it is, if one is free."""
        if self._at_work.total() >= MOST_AT_ONCE:
            return None
        for host, waiting in self._waiting.items():
            if self._at_work[host] < MOST_FOR_A_HOST:
                subject = waiting.popleft()
                del self._waiting[host]
                if waiting:
                    self._waiting[host] = waiting  # behind the other hosts
                self._at_work[host] += 1
                return subject
        return None

    def done(self, subject: CallbackKeys, *, again: bool) -> None:
        """It gives its place back; ``again``: its next callback is due."""
        host = self._hosts.pop(subject)
        self._at_work -= Counter((host,))
        if again:
            self.add(subject, host)
