"""Sends and proven codes of one key (a prefix, a country ...) in sliding windows, with a memory of days.

``store/lua/tally.lua`` does the same over a hash in Redis; a test holds the two together. Here it serves
simulation and replay, where time is virtual.
"""

from dataclasses import dataclass, field

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
MINUTES, HOURS, DAYS = 60, 24, 15
"""How many buckets are kept of each: two windows, and today with the 14 days before."""
KEEP_PROVEN, KEEP_UNPROVEN = DAYS * DAY, 49 * HOUR
"""How long (milliseconds) an idle tally lives: history is what was proven; without any, the longest block and
its probation."""


@dataclass(frozen=True, slots=True)
class Count:
    """Messages sent, and those of them whose code was proven."""

    sent: int = 0
    proven: int = 0

    @property
    def unproven(self) -> int:
        """Below zero where codes were proven of what has left the window, or was written off."""
        return self.sent - self.proven


@dataclass(frozen=True, slots=True)
class Figures:
    """What a tally says at an instant. ``past`` are the 14 days before today; the peaks are the most that
    was proven in an hour and in a day (UTC), today's included."""

    hour: Count = Count()
    day: Count = Count()
    past: Count = Count()
    peak_hour: int = 0
    peak_day: int = 0


@dataclass(slots=True)
class _Bucket:
    index: int
    sent: int = 0
    proven: int = 0
    peak: int = 0


@dataclass(slots=True)
class _Ring:
    """The last ``length`` buckets, with their totals; rolling forward is paid by what was counted."""

    unit: int
    length: int
    buckets: list[_Bucket] = field(default_factory=list)
    sent: int = 0
    proven: int = 0

    def at(self, now: int) -> _Bucket:
        """The bucket of now, after letting go of what is too old."""
        index = now // self.unit
        while self.buckets and self.buckets[0].index <= index - self.length:
            old = self.buckets.pop(0)
            self.sent -= old.sent
            self.proven -= old.proven
        if not self.buckets or self.buckets[-1].index != index:
            self.buckets.append(_Bucket(index))
        return self.buckets[-1]

    def add(self, now: int, sent: int, proven: int) -> _Bucket:
        bucket = self.at(now)
        bucket.sent += sent
        bucket.proven += proven
        self.sent += sent
        self.proven += proven
        return bucket

    def write_off(self) -> None:
        self.buckets.clear()
        self.sent = self.proven = 0


class Tally:
    """The counts of one key. Time must not run backwards."""

    __slots__ = ("_days", "_hours", "_minutes")

    def __init__(self) -> None:
        self._minutes = _Ring(MINUTE, MINUTES)
        self._hours = _Ring(HOUR, HOURS)
        self._days = _Ring(DAY, DAYS)

    def count(self, now: int, *, sent: int = 0, proven: int = 0) -> None:
        """Count; a negative number takes back what was counted in the same minute."""
        self._minutes.add(now, sent, proven)
        hour = self._hours.add(now, sent, proven)
        day = self._days.add(now, sent, proven)
        day.peak = max(day.peak, hour.proven)

    def write_off(self) -> None:
        """Begin the windows anew. The days stay: what was proven there is still what is usual."""
        for ring in (self._minutes, self._hours):
            ring.write_off()

    def figures(self, now: int) -> Figures:
        self._minutes.at(now)
        self._hours.at(now)
        today = self._days.at(now)
        return Figures(
            hour=Count(self._minutes.sent, self._minutes.proven),
            day=Count(self._hours.sent, self._hours.proven),
            past=Count(self._days.sent - today.sent, self._days.proven - today.proven),
            peak_hour=max(day.peak for day in self._days.buckets),
            peak_day=max(day.proven for day in self._days.buckets),
        )
