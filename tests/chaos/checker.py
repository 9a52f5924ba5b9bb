"""The invariants, checked over what two witnesses say: the audit trail, and the sandbox's record of sends.

It asks nothing else, so it can judge any run, whatever was killed in it. The trail is read in the order of
its streams; all events of a verification and of its recipient are in one stream.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.domain.recipient import parse_recipient

Event = Mapping[str, Any]

ATTEMPTS = 5
PENDING, BARRED = "pending", "undeliverable"
_ENDS = {
    "verification.approved": "approved",
    "verification.canceled": "canceled",
    "verification.expired": "expired",
    "verification.locked": "locked",
    "verification.undeliverable": BARRED,
}
_OUTCOMES = {"delivery.accepted", "delivery.rejected", "delivery.uncertain"}
_ENDED_BY_OTHERS = {"approved", "canceled", "locked"}
_TRIES_AGAIN = {"provider_unavailable", "resend"}
"""Reasons for which a sender may come a second time."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A message in the sandbox's record; ``verification`` and ``delivery`` stand in its webhook URL."""

    id: str
    verification: str
    delivery: int
    to: str = field(repr=False)
    text: str = field(repr=False, default="")


def violations(
    events: Sequence[Event],
    sent: Iterable[Sent],
    *,
    is_over: bool = True,
    nobody_died: bool = False,
    attempts: int = ATTEMPTS,
) -> list[str]:
    """What of design section 8 does not hold, in words. ``is_over``: the run went on past every end, so
    nothing may be open any more. ``nobody_died``: no process did, so each POST's outcome is told of.
    ``attempts``: how many a verification has."""
    lives: dict[str, _Life] = {}
    opted_out: set[str] = set()
    found: list[str] = []
    for event in events:
        match event["type"]:
            case "opt_out.recorded":
                opted_out.add(event["recipient"])
            case "opt_out.lifted":
                opted_out.discard(event["recipient"])
        if id_ := event.get("verification"):
            life = lives.setdefault(id_, _Life(id_, attempts))
            life.take(event, opted_out)
    messages: dict[str, list[Sent]] = {}
    for message in sent:
        messages.setdefault(message.verification, []).append(message)
    for id_, life in lives.items():
        life.compare(messages.pop(id_, []))
        if is_over:
            life.end(nobody_died=nobody_died)
        found += life.wrong
    found += [f"{id_}: a message was sent that no event tells of" for id_ in messages]
    return found


class _Life:
    """One verification, as its events tell it."""

    def __init__(self, id_: str, attempts: int) -> None:
        self.id = id_
        self.attempts = attempts
        self.wrong: list[str] = []
        self.created: Event | None = None
        self.status = PENDING
        self.begun: list[Event] = []
        self.outcomes: dict[int, Event] = {}
        self.counts: Counter[str] = Counter()
        self.reports: set[str] = set()

    def say(self, what: str) -> None:
        self.wrong.append(f"{self.id}: {what}")

    def take(self, event: Event, opted_out: set[str]) -> None:
        kind = event["type"]
        if kind == "verification.created":
            if self.created is not None:
                self.say("was created twice")
            self.created = event
        elif self.created is None:
            self.say(f"{kind} before it was created")
        elif kind in _ENDS:
            self._take_end(_ENDS[kind], event)
        elif kind == "delivery.begun":
            self._take_begun(event, opted_out)
        elif kind in _OUTCOMES:
            self._take_outcome(event)
        elif kind == "delivery.reported":
            self._take_report(event)
        self.counts[kind] += 1
        self._count_guesses()

    def _take_end(self, status: str, event: Event) -> None:
        # A report may be wrong: what was taken for undeliverable may yet be proven, or be replaced.
        if self.status not in (PENDING, BARRED) or status == self.status:
            self.say(f"is {status} after it was {self.status}")
        self.status = status
        if status == "approved" and event["delivery"] not in self._numbers:
            self.say(f"was approved by delivery {event['delivery']}, which never began")

    def _take_begun(self, event: Event, opted_out: set[str]) -> None:
        number, reason, sender = event["delivery"], event["reason"], event["sender"]
        if self.status != PENDING:
            self.say(f"delivery {number} began after it was {self.status}")
        if event["recipient"] in opted_out:
            self.say(f"delivery {number} began after the recipient's opt-out")
        if number != len(self.begun) + 1:
            self.say(f"delivery {number} came after {len(self.begun)}")
        if self.begun and len(self.begun) not in self.outcomes:
            self.say(f"delivery {number} began while {len(self.begun)} was being sent")
        if (reason == "initial") != (number == 1):
            self.say(f"delivery {number} is {reason}")
        plan = (self.created or {}).get("plan", [])
        if sender not in plan or (number == 1 and sender != plan[0]):
            self.say(f"delivery {number} went through {sender}, against the plan")
        if sender in [b["sender"] for b in self.begun] and reason not in _TRIES_AGAIN:
            self.say(f"delivery {number} tries {sender} again, for {reason}")
        self.begun.append(event)
        resends = [b for b in self.begun if b["reason"] == "resend"]
        if len(resends) > self.counts["resend.asked"]:
            self.say(f"delivery {number} is a resend that nobody asked for")

    def _take_outcome(self, event: Event) -> None:
        number = event["delivery"]
        if number not in self._numbers:
            self.say(f"delivery {number} has an outcome and never began")
        if number in self.outcomes:
            self.say(f"delivery {number} has two outcomes")
        self.outcomes[number] = event

    def _take_report(self, event: Event) -> None:
        if event["delivery"] not in self._numbers:
            self.say(f"delivery {event['delivery']} is reported and never began")
        if event["event_id"] in self.reports:
            self.say(f"report {event['event_id']} was applied twice")
        self.reports.add(event["event_id"])

    def _count_guesses(self) -> None:
        counted = self.counts["attempt.counted"]
        compared = (
            self.counts["verification.approved"]
            + self.counts["attempt.rejected"]
            + self.counts["verification.locked"]
        )
        if compared > counted:
            self.say(f"{compared} codes were compared, {counted} counted")
        if counted > self.attempts:
            self.say(f"{counted} attempts were counted, of {self.attempts}")

    def compare(self, messages: list[Sent]) -> None:
        """With what was sent."""
        for number, count in Counter(m.delivery for m in messages).items():
            if count > 1:
                self.say(f"delivery {number} was sent {count} times")
            if number not in self._numbers:
                self.say(f"delivery {number} was sent and never began")
            if self._outcome(number) == "delivery.rejected":
                self.say(f"delivery {number} was sent, and is told as rejected")
        masked = (self.created or {}).get("masked")
        if any(parse_recipient(m.to).masked != masked for m in messages):
            self.say("a message went to somebody else")
        ids = {m.delivery: m.id for m in messages}
        for number, outcome in self.outcomes.items():
            if outcome["type"] == "delivery.accepted" and ids.get(number) != outcome["message_id"]:
                self.say(f"delivery {number} is told as accepted, and was not sent")

    def end(self, *, nobody_died: bool) -> None:
        """Nothing comes any more. Only of the last POST may the outcome have died with its process, where
        the verification was ended by others before anybody else could go on with it."""
        if self.status == PENDING and self.created is not None:
            self.say("is stuck: it never ended")
        lost = self._numbers - self.outcomes.keys()
        if not nobody_died and self.status in _ENDED_BY_OTHERS:
            lost.discard(len(self.begun))
        if lost:
            self.say(f"deliveries {sorted(lost)} have no outcome")

    @property
    def _numbers(self) -> set[int]:
        return {b["delivery"] for b in self.begun}

    def _outcome(self, number: int) -> str:
        return str(self.outcomes.get(number, {}).get("type"))
