"""The checker finds each fault in a story that is sound without it."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.chaos.checker import Event, Sent, violations

ID = "ver_07" + "a" * 32
TO = "+12025550100"
Story = list[dict[str, Any]]


def _event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "verification": ID, "recipient": "p", "masked": "+1********00", **fields}


def _begun(number: int, sender: str, reason: str) -> dict[str, Any]:
    return _event("delivery.begun", delivery=number, sender=sender, reason=reason)


def _sound() -> tuple[Story, list[Sent]]:
    """Refused at first, then sent, asked for again, a wrong code and the right one."""
    story = [
        _event("verification.created", plan=["long", "short"]),
        _begun(1, "long", "initial"),
        _event("delivery.accepted", delivery=1, message_id="m1"),
        _event("delivery.reported", delivery=1, event_id="e1"),
        _begun(2, "short", "delivery_failed"),
        _event("delivery.uncertain", delivery=2),
        _event("resend.asked"),
        _begun(3, "long", "resend"),
        _event("delivery.accepted", delivery=3, message_id="m3"),
        _event("attempt.counted"),
        _event("attempt.rejected"),
        _event("attempt.counted"),
        _event("verification.approved", delivery=3),
        _event("delivery.reported", delivery=3, event_id="e3"),
    ]
    return story, [Sent("m1", ID, 1, TO), Sent("m3", ID, 3, TO)]


def _drop(*indices: int) -> Callable[[Story, list[Sent]], None]:
    def change(story: Story, _: list[Sent]) -> None:
        for index in sorted(indices, reverse=True):
            del story[index]

    return change


def _put(index: int, event: Event) -> Callable[[Story, list[Sent]], None]:
    return lambda story, _: story.insert(index, dict(event))


def _set(index: int, **fields: Any) -> Callable[[Story, list[Sent]], None]:
    return lambda story, _: story[index].update(fields)


def _send(*messages: Sent) -> Callable[[Story, list[Sent]], None]:
    return lambda _, sent: sent.extend(messages)


STOP = {"type": "opt_out.recorded", "recipient": "p"}
FAULTS = {
    "was created twice": _put(1, _event("verification.created", plan=["long", "short"])),
    "before it was created": _drop(0),
    "is approved after it was approved": _put(13, _event("verification.approved", delivery=3)),
    "is expired after it was approved": _put(13, _event("verification.expired")),
    "is approved after it was locked": _put(12, _event("verification.locked")),
    "approved by delivery 4, which never began": _set(12, delivery=4),
    "delivery 3 began after it was canceled": _put(7, _event("verification.canceled")),
    "delivery 3 began after the recipient's opt-out": _put(7, STOP),
    "delivery 4 came after 2": _set(7, delivery=4),
    "delivery 3 began while 2 was being sent": _drop(5),
    "delivery 2 is initial": _set(4, reason="initial"),
    "went through other, against the plan": _set(4, sender="other"),
    "delivery 1 went through short, against": _set(1, sender="short"),
    "tries long again, for delivery_failed": _set(4, sender="long"),
    "a resend that nobody asked for": _drop(6),
    "delivery 9 has an outcome and never began": _put(8, _event("delivery.uncertain", delivery=9)),
    "delivery 2 has two outcomes": _put(6, _event("delivery.rejected", delivery=2)),
    "delivery 9 is reported and never began": _set(13, delivery=9),
    "report e1 was applied twice": _set(13, event_id="e1"),
    "2 codes were compared, 1 counted": _drop(9),
    "6 attempts were counted, of 5": lambda s, _: s.extend([_event("attempt.counted")] * 4),
    "delivery 2 was sent 2 times": _send(Sent("m2", ID, 2, TO), Sent("m2b", ID, 2, TO)),
    "delivery 4 was sent and never began": _send(Sent("m4", ID, 4, TO)),
    "is told as rejected": _set(2, type="delivery.rejected"),
    "went to somebody else": _send(Sent("m2", ID, 2, "+12025550111")),
    "delivery 1 is told as accepted, and was not sent": _set(2, message_id="m9"),
    "it never ended": _drop(12),
    "deliveries [2] have no outcome": _drop(5),
    "a message was sent that no event": _send(Sent("m", ID.replace("a", "b"), 1, TO)),
}


def test_a_sound_story_is_believed() -> None:
    story, sent = _sound()
    assert violations(story, sent) == []


@pytest.mark.parametrize("said", FAULTS)
def test_a_fault_is_named(said: str) -> None:
    story, sent = _sound()
    FAULTS[said](story, sent)
    assert any(said in found for found in violations(story, sent)), violations(story, sent)


def test_what_is_open_may_be_so_while_the_run_goes_on() -> None:
    story, sent = _sound()
    assert violations(story[:8], sent[:1], is_over=False) == []
    assert len(violations(story[:8], sent[:1])) == 2


def test_an_outcome_may_die_with_its_process_where_others_ended_all() -> None:
    story, sent = _sound()
    del story[8]
    assert violations(story, sent) == []
    assert violations(story, sent, nobody_died=True) == [f"{ID}: deliveries [3] have no outcome"]
    story[11] = _event("verification.expired")
    assert "deliveries [3] have no outcome" in violations(story, sent)[0]
