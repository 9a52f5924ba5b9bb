"""A verification's record: the hash in Redis to and from the domain's values.

Fields: ``base`` and ``more`` (what the start fixed), ``d1`` ... (a delivery begun), ``o1`` (its outcome),
``g1`` (when it was reconciled), ``r1:<event>`` and ``x1:<event>`` (its reports), and what scripts count.

``base``, ``d1``, ``o1`` and ``r1:<event>`` have two forms, and both are read. The long one has its members'
names: layout 1 reads it, so it is written while an upgrade is under way. The short one is an array, the
defaults at its end left out, and times are milliseconds since the start.

Records outlive upgrades, and a newer release may write beside this one: members and places that no class
here has are left out. Layout 1 stumbled over members, and reads ``base`` and ``r1:<event>`` alone: what came
after it stands in ``more`` and ``x1:<event>``. In the short form what is new comes last.
"""

import base64
import dataclasses
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import msgspec

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
_PLACES = (
    "purpose", "country", "masked", "recipient_id", "sealed", "key_id", "created_at", "code_length",
    "plan", "tracked",
)  # fmt: skip
"""Of the short form of ``base``; behind them an object has the rest by name, which few verifications have.
``include/base.lua`` knows the first four and that object."""
_PLACED = frozenset({*_PLACES, "app", "expires_at", "attempts_allowed"})
"""What that object leaves out: the last three are fields of the record in any case."""
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


_ENCODER = msgspec.json.Encoder()
_decode = msgspec.json.Decoder().decode


def dump(value: object) -> str:
    """Compact JSON; a dataclass becomes an object of its fields."""
    return _ENCODER.encode(value).decode()


def pairs(flat: object) -> dict[str, str]:
    """A flat reply (or redis-py's own dict or pairs) as a dict."""
    if isinstance(flat, dict):
        return flat
    if not isinstance(flat, list):
        return {}
    if flat and isinstance(flat[0], tuple | list):
        return dict(flat)
    return dict(zip(flat[::2], flat[1::2], strict=True))


def dump_base(v: Verification, *, short: bool = True) -> tuple[str, str]:
    """The fields ``base`` and ``more``; in the short form there is no ``more``."""
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
    if not short:
        return _apart(base, _BASE_OF_LAYOUT_1)
    rest = {name: value for name, value in base.items() if name not in _PLACED}
    return _dump_places([*(base.get(name) for name in _PLACES), rest or None]), ""


def dump_delivery(delivery: Delivery, *, since: int | None = None) -> str:
    """``since``: when the verification was created; without it in the long form. So below."""
    if since is not None:
        begun_at = delivery.begun_at - since
        places = [delivery.sender, delivery.kind, delivery.reason, begun_at, delivery.probe]
        return _dump_places(places)
    begun: dict[str, object] = {
        "sender": delivery.sender,
        "kind": delivery.kind,
        "reason": delivery.reason,
        "begun_at": delivery.begun_at,
    }
    if delivery.probe is not None:
        begun["probe"] = delivery.probe
    return dump(begun)


def dump_outcome(outcome: Outcome, *, since: int | None = None) -> str:
    kind: type = type(outcome)
    word, told = _OUTCOME_WORDS[kind], _told(outcome)
    if since is None:
        return dump({"is": word, **told})
    told["at"] -= since
    return _dump_places([word, *(told.get(name) for name in _names(kind))])


def dump_report(report: Report, *, short: bool = True) -> tuple[str, str]:
    """The fields ``r1:<event>`` and ``x1:<event>``; in the short form there is no ``x1:<event>``, and times
    are as they are."""
    told = _told(report)
    if not short:
        del told["event_id"]  # it is the field's name
        return _apart(told, _REPORT_OF_LAYOUT_1)
    return _dump_places([told.get(name) for name in _names(Report) if name != "event_id"]), ""


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


def _dump_places(values: list[Any]) -> str:
    """``None`` stands for what is not told; at the end nothing stands for it."""
    while values[-1] is None:
        values.pop()
    return dump(values)


def _at_places(names: Iterable[str], values: list[Any]) -> dict[str, Any]:
    """What is told. A newer release may have more places."""
    return {name: value for name, value in zip(names, values, strict=False) if value is not None}


def load(id_: str, fields: Mapping[str, str], senders: Mapping[str, Sender]) -> Verification:
    """Fold a record. A sender that the configuration no longer has falls out of the plan."""
    base = read_base(fields)
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
        deliveries=_load_deliveries(fields, base["created_at"], int(proven) if proven else None),
        rev=int(fields["rev"]),
    )


def read_base(fields: Mapping[str, str]) -> dict[str, Any]:
    """What the start fixed, by name, of a record's fields; of the short form they must have ``app``,
    ``expires_at`` and ``attempts_allowed`` too."""
    found = _decode(fields["base"])
    if isinstance(found, dict):
        return {**found, **_decode(fields.get("more", "{}"))}
    base = _at_places((*_PLACES, "rest"), found)
    return {
        **base.pop("rest", {}),
        **base,
        "app": fields["app"],
        "expires_at": int(fields["expires_at"]),
        "attempts_allowed": int(fields["attempts_allowed"]),
    }


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
def _names(kind: type) -> dict[str, None]:
    """In their order; as quick to look in as a set."""
    return dict.fromkeys(field.name for field in dataclasses.fields(kind))


def _load_deliveries(
    fields: Mapping[str, str], since: int, proven: int | None
) -> tuple[Delivery, ...]:
    reports: dict[int, list[Report]] = {}
    for name, value in fields.items():
        if name.startswith("r") and ":" in name:
            of, event_id = name[1:].split(":", 1)
            more = fields.get(f"x{of}:{event_id}", "{}")
            report = _load_report(event_id, _decode(value), _decode(more))
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
                _decode(begun),
                since,
                outcome=_load_outcome(_decode(outcome), since) if outcome else None,
                reports=tuple(of_this),
                reconciled_at=int(reconciled) if reconciled else None,
                proven=number == proven,
            )
        )
        number += 1
    return tuple(deliveries)


def _load_delivery(number: int, begun: Any, since: int, **facts: Any) -> Delivery:
    if isinstance(begun, list):
        begun = _at_places(("sender", "kind", "reason", "begun_at", "probe"), begun)
        begun["begun_at"] += since
    return Delivery(
        number=number,
        sender=begun["sender"],
        kind=SenderKind(begun["kind"]),
        reason=Reason(begun["reason"]),
        begun_at=begun["begun_at"],
        probe=begun.get("probe"),
        **facts,
    )


def _load_outcome(found: Any, since: int) -> Outcome:
    if isinstance(found, list):
        kind = _OUTCOMES[found[0]]
        found = _at_places(_names(kind), found[1:])
        found["at"] += since
    else:
        kind = _OUTCOMES[found.pop("is")]
    if "errors" in found:
        found["errors"] = _load_errors(found["errors"])
    if "fault" in found:
        found["fault"] = Fault(found["fault"])
    outcome: Outcome = kind(**_known(kind, found))
    return outcome


def _load_report(event_id: str, found: Any, more: dict[str, Any]) -> Report:
    if isinstance(found, list):
        found = _at_places([name for name in _names(Report) if name != "event_id"], found)
    found |= more
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
