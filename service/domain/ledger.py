"""All tallies in memory, judged by the very rule that the service uses: for virtual time."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from service.domain.pumping import Block, Dimension, PumpingPolicy, Standing, Suspicion, judge
from service.domain.tally import KEEP_PROVEN, KEEP_UNPROVEN, Tally

Keys = Mapping[Dimension, str]
_Key = tuple[Dimension, str]


@dataclass(slots=True)
class _Entry:
    touched: int
    tally: Tally = field(default_factory=Tally)
    block: Block | None = None


class Ledger:
    """Forgets a key when Redis would, so it grows with the keys of some days and not with the starts.
    Time must not run backwards."""

    def __init__(self, policy: PumpingPolicy) -> None:
        self._policy = policy
        self._entries: dict[bool, OrderedDict[_Key, _Entry]] = {
            False: OrderedDict(),
            True: OrderedDict(),
        }

    def __len__(self) -> int:
        return sum(map(len, self._entries.values()))

    def start(self, keys: Keys, now: int, *, exempt: bool = False) -> Suspicion | None:
        """Count a message, and judge it; one that is refused counts against nothing."""
        entries = {
            dimension: self._touch((dimension, value), now) for dimension, value in keys.items()
        }
        for entry in entries.values():
            entry.tally.count(now, sent=1)
        if exempt:
            return None
        standings = {
            dimension: Standing(entry.tally.figures(now), entry.block)
            for dimension, entry in entries.items()
        }
        suspicion = judge(standings, self._policy, now)
        if suspicion is not None:
            for entry in entries.values():
                entry.tally.count(now, sent=-1)
            if suspicion.trips:
                tripped = entries[suspicion.dimension]
                tripped.block = suspicion.block
                tripped.tally.write_off()
        return suspicion

    def prove(self, keys: Keys, now: int, messages: int = 1) -> None:
        """Count the messages of a verification whose code was proven."""
        for dimension, value in keys.items():
            key = (dimension, value)
            entry = self._touch(key, now)
            if key in self._entries[False]:
                self._entries[True][key] = self._entries[False].pop(key)
            entry.tally.count(now, proven=messages)

    def _touch(self, key: _Key, now: int) -> _Entry:
        for proven, keep in ((False, KEEP_UNPROVEN), (True, KEEP_PROVEN)):
            entries = self._entries[proven]
            while entries:
                oldest = next(iter(entries.values()))
                if oldest.touched + keep > now:
                    break
                entries.popitem(last=False)
        for entries in self._entries.values():
            entry = entries.get(key)
            if entry is not None:
                entries.move_to_end(key)
                entry.touched = now
                return entry
        entry = self._entries[False][key] = _Entry(now)
        return entry
