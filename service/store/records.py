"""A verification's record: the hash in Redis to and from the domain's values.

Fields: ``base`` and ``more`` (what the start fixed), ``d1`` ... (a delivery begun), ``o1`` (its outcome),
``g1`` (when it was reconciled), ``r1:<event>`` and ``x1:<event>`` (its reports), and what scripts count.

Records outlive upgrades, and a newer release may write beside this one: members that no class here has
are left out. Layout 1 stumbled over them, and reads ``base`` and ``r1:<event>`` alone: what came after it
stands in ``more`` and ``x1:<event>``.
"""

import base64
import dataclasses
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from service.domain.code import Alphabet
from service.domain.plan import Sender, SenderKind
from service.domain.pumping import Dimension, Tracked
from service.domain.transaction import Transaction
from service.domain.verification import (
    Accepted,
    Delivery,
    DeliveryStatus,
    Fault,
    HeldBack,
    Notice,
    NotSent,
    Outcome,
    ProviderError,
    Reason,
    Refused,
    Report,
    Status,
    Uncertain,
    Verification,
)

_BASE_FIELDS = (
    "app", "purpose", "country", "masked", "recipient_id", "sealed", "key_id", "created_at",
    "expires_at", "attempts_allowed", "code_length", "locale", "host", "app_hash",
    "nonce", "price", "bound",
)  # fmt: skip
_BASE_OF_LAYOUT_1 = frozenset(
    {
        "app", "purpose", "country", "masked", "recipient_id", "sealed", "key_id", "created_at",
        "expires_at", "attempts_allowed", "code_length", "locale", "host", "app_hash",
        "plan", "metadata", "transaction", "notice",
    }
)  # fmt: skip
"""What it knew; nothing is ever added, here and below."""
_REPORT_OF_LAYOUT_1 = frozenset(
    {"status", "at", "message_id", "fault", "errors", "cost", "currency"}
)
_OUTCOMES = {
    "accepted": Accepted,
    "refused": Refused,
    "held_back": HeldBack,
    "not_sent": NotSent,
    "uncertain": Uncertain,
}
_OUTCOME_WORDS = {kind: word for word, kind in _OUTCOMES.items()}


def _members(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, default=_members)


def dump(value: object) -> str:
    """Compact JSON; a dataclass becomes an object of its fields."""
    return _ENCODER.encode(value)


def pairs(flat: object) -> dict[str, str]:
    """A flat reply (or redis-py's own dict or pairs) as a dict."""
    if isinstance(flat, dict):
        return flat
    if not isinstance(flat, list):
        return {}
    if flat and isinstance(flat[0], tuple | list):
        return dict(flat)
    return dict(zip(flat[::2], flat[1::2], strict=True))


def dump_base(v: Verification) -> tuple[str, str]:
    """The fields ``base`` and ``more``."""
    base = {name: getattr(v, name) for name in _BASE_FIELDS if getattr(v, name) is not None}
    base["plan"] = [s.name for s in v.plan]
    if v.metadata:
        base["metadata"] = dict(v.metadata)
    if v.test:
        base["test"] = True
    if v.alphabet is not Alphabet.DIGITS:
        base["alphabet"] = v.alphabet
    if v.clients:
        base["clients"] = v.clients
    if v.tracked is not None:
        base["tracked"] = _dump_tracked(v.tracked)
    if v.transaction is not None:
        base["transaction"] = v.transaction
    if v.notice is not None:
        base["notice"] = v.notice
    if v.chosen:
        base["chosen"] = True
    return _apart(base, _BASE_OF_LAYOUT_1)


def dump_delivery(delivery: Delivery) -> str:
    begun: dict[str, object] = {
        "sender": delivery.sender,
        "kind": delivery.kind,
        "reason": delivery.reason,
        "begun_at": delivery.begun_at,
    }
    if delivery.probe is not None:
        begun["probe"] = delivery.probe
    return dump(begun)


def dump_outcome(outcome: Outcome) -> str:
    return dump({"is": _OUTCOME_WORDS[type(outcome)], **_told(outcome)})


def dump_report(report: Report) -> tuple[str, str]:
    """The fields ``r1:<event>`` and ``x1:<event>``."""
    found = _told(report)
    del found["event_id"]  # it is the field's name
    return _apart(found, _REPORT_OF_LAYOUT_1)


def _told(value: Any) -> dict[str, Any]:
    """The members that are not what they are anyway."""
    return {
        field.name: member
        for field in dataclasses.fields(value)
        if (member := getattr(value, field.name)) != field.default
    }


def _apart(members: Mapping[str, Any], first: frozenset[str]) -> tuple[str, str]:
    return (
        dump({name: value for name, value in members.items() if name in first}),
        dump({name: value for name, value in members.items() if name not in first}),
    )


def load(id_: str, fields: Mapping[str, str], senders: Mapping[str, Sender]) -> Verification:
    """Fold a record. A sender that the configuration no longer has falls out of the plan."""
    base = json.loads(fields["base"]) | json.loads(fields.get("more", "{}"))
    plan = tuple(senders[name] for name in base.pop("plan") if name in senders)
    transaction, notice = base.pop("transaction", None), base.pop("notice", None)
    clients, tracked = tuple(base.pop("clients", ())), base.pop("tracked", None)
    alphabet = Alphabet(base.pop("alphabet", Alphabet.DIGITS))
    proven = fields.get("proven")
    closed = fields.get("reason")
    return Verification(
        id=id_,
        plan=plan,
        **_known(Verification, base),
        alphabet=alphabet,
        clients=clients,
        tracked=_load_tracked(tracked) if tracked else None,
        transaction=Transaction(**_known(Transaction, transaction)) if transaction else None,
        notice=Notice(**_known(Notice, notice)) if notice else None,
        callback_url=fields.get("callback"),
        status=Status(fields["status"]),
        closed_reason=Reason(closed) if closed else None,
        attempts_used=int(fields.get("attempts", 0)),
        last_attempt_at=int(fields.get("attempt_at", 0)),
        resends_asked=int(fields.get("resends", 0)),
        resend_after=int(fields["resend_after"]),
        opted_out="opted_out" in fields,
        withheld=Reason(fields["withheld"]) if "withheld" in fields else None,
        deliveries=_load_deliveries(fields, int(proven) if proven else None),
        rev=int(fields["rev"]),
    )


def _dump_tracked(tracked: Tracked) -> list[object]:
    """Digests in the dimensions' order, in Base64: half of what names and hex digits would take."""
    digests = [bytes.fromhex(tracked.keys.get(dimension, "")) for dimension in Dimension]
    packed = ".".join(base64.b64encode(digest).decode().rstrip("=") for digest in digests)
    rest: list[object] = [tracked.exempt, tracked.suspected]
    return [packed, *rest] if any(rest) else [packed]


def _load_tracked(found: Any) -> Tracked:
    if isinstance(found, list):
        packed = zip(Dimension, found[0].split("."), strict=False)
        keys = {name: base64.b64decode(f"{d}==").hex() for name, d in packed if d}
        return Tracked(keys, *found[1:3])
    keys = {Dimension(name): digest for name, digest in found.pop("keys").items()}
    return Tracked(keys, **_known(Tracked, found))


def _known(kind: type, members: Mapping[str, Any]) -> dict[str, Any]:
    names = _names(kind)
    return {name: value for name, value in members.items() if name in names}


@cache
def _names(kind: type) -> frozenset[str]:
    return frozenset(field.name for field in dataclasses.fields(kind))


def _load_deliveries(fields: Mapping[str, str], proven: int | None) -> tuple[Delivery, ...]:
    reports: dict[int, list[Report]] = {}
    for name, value in fields.items():
        if name.startswith("r") and ":" in name:
            of, event_id = name[1:].split(":", 1)
            more = fields.get(f"x{of}:{event_id}", "{}")
            report = _load_report(event_id, json.loads(value) | json.loads(more))
            reports.setdefault(int(of), []).append(report)
    deliveries = []
    number = 1
    while (begun := fields.get(f"d{number}")) is not None:
        outcome = fields.get(f"o{number}")
        reconciled = fields.get(f"g{number}")
        of_this = sorted(reports.get(number, ()), key=lambda report: report.event_id)
        deliveries.append(
            _load_delivery(
                number,
                json.loads(begun),
                outcome=_load_outcome(json.loads(outcome)) if outcome else None,
                reports=tuple(of_this),
                reconciled_at=int(reconciled) if reconciled else None,
                proven=number == proven,
            )
        )
        number += 1
    return tuple(deliveries)


def _load_delivery(number: int, begun: dict[str, Any], **facts: Any) -> Delivery:
    return Delivery(
        number=number,
        sender=begun["sender"],
        kind=SenderKind(begun["kind"]),
        reason=Reason(begun["reason"]),
        begun_at=begun["begun_at"],
        probe=begun.get("probe"),
        **facts,
    )


def _load_outcome(found: dict[str, Any]) -> Outcome:
    kind = _OUTCOMES[found.pop("is")]
    if "errors" in found:
        found["errors"] = _load_errors(found["errors"])
    if "fault" in found:
        found["fault"] = Fault(found["fault"])
    outcome: Outcome = kind(**_known(kind, found))
    return outcome


def _load_report(event_id: str, found: dict[str, Any]) -> Report:
    fault = found.pop("fault", None)
    return Report(
        event_id=event_id,
        status=DeliveryStatus(found.pop("status")),
        fault=Fault(fault) if fault else None,
        errors=_load_errors(found.pop("errors", ())),
        **_known(Report, found),
    )


def _load_errors(found: list[dict[str, str]]) -> tuple[ProviderError, ...]:
    return tuple(ProviderError(**error) for error in found)
