"""Telnyx's error codes, as the decision table needs them: whose fault is it?

Source of codes and meanings: developers.telnyx.com, "API errors" and "Messaging error codes". Telnyx's
own pages contradict each other, so a code that is in no row is ``OTHER``: the next sender is tried,
nothing is concluded about the recipient.
"""

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, ValidationError

from service.domain.verification import Fault, ProviderError

STOP_BLOCK = "40300"

# The recipient cannot get SMS, whoever sends it.
_RECIPIENT = {
    "40001",  # not routable: landline or non-routable wireless
    "40012",  # destination invalid, says the carrier
    "40310",  # invalid `to`
    "10002",  # invalid phone number
    "10016",  # phone number must be E.164
}
# Sending on through the same account would repeat what was stopped.
_BLOCKED = {
    "40020",  # suspected artificial traffic inflation: 2FA traffic is held for 24 hours
    "40333",  # the profile's daily spend limit is reached (until midnight UTC)
}
# This sender, its profile or our account; another sender may do better.
_SENDER = {
    "40002", "40003",  # blocked as spam, temporarily or for good
    "40007",  # loop
    "40009",  # invalid message body
    "40010",  # not registered for 10DLC
    "40011",  # upstream rate limit
    "40013",  # source invalid, says the carrier
    "40015", "40016", "40017", "40018", "40019",  # spam filter and 10DLC limits
    "40100", "40150", "40151", "40152", "40153", "40154", "40155", "40156", "40157", "40158", "40159",
    "40301", "40319",  # message type not supported for this destination
    "40302", "40304", "40316", "40317", "40322", "40328",  # content
    "40305", "40306", "40307", "40308", "40325", "40326",  # invalid `from`
    "40309", "40331",  # destination country not enabled on the profile
    "40311", "40312", "40313", "40314",  # profile or account cannot send
    "40315", "40318", "40320", "40321",  # unhealthy, full or temporarily unusable sender, empty pool
    "40323", "40324", "40327", "40329", "40330", "40332",
    "10003", "10004", "10005", "10006", "10009", "10010", "10015", "10027", "10038", "10039",
    "20001", "20002", "20003", "20004", "20005", "20006", "20007", "20008", "20009",
    "20012", "20013", "20014", "20015", "20016", "20017", "20100",
}  # fmt: skip
_PRECEDENCE = (Fault.OPTED_OUT, Fault.BLOCKED, Fault.RECIPIENT, Fault.SENDER)


class _Source(BaseModel):
    pointer: str | None = None
    parameter: str | None = None


class TelnyxError(BaseModel):
    """One entry of ``errors[]``, read leniently: Telnyx adds fields, and a few endpoints vary."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)

    code: str
    title: str | None = None
    detail: str | None = None
    source: _Source | None = None

    @property
    def pointer(self) -> str | None:
        """Which part of the request the error is about."""
        return (self.source.pointer or self.source.parameter) if self.source else None


def read_errors(body: object) -> tuple[TelnyxError, ...]:
    """The errors of an answer or a payload; the bare form without ``errors`` is read too."""
    listed = body.get("errors", body) if isinstance(body, dict) else body
    found = []
    for item in listed if isinstance(listed, list) else [listed]:
        try:
            found.append(TelnyxError.model_validate(item))
        except ValidationError:
            continue
    return tuple(found)


def fault_of(errors: Iterable[TelnyxError], *, synchronous: bool) -> Fault:
    """Whose fault the errors say it is; the gravest wins where there are several.

    ``synchronous``: whether Telnyx answered the send with them. In a later report 40300 means an
    opt-out only where its words say so.
    """
    faults = {_fault(error, synchronous=synchronous) for error in errors}
    return next((fault for fault in _PRECEDENCE if fault in faults), Fault.OTHER)


def to_domain(errors: Iterable[TelnyxError]) -> tuple[ProviderError, ...]:
    """Code and title only: a detail may quote the number or the text."""
    return tuple(ProviderError(error.code[:16], (error.title or "")[:120]) for error in errors)


def _fault(error: TelnyxError, *, synchronous: bool) -> Fault:
    if error.code == STOP_BLOCK:
        words = f"{error.title} {error.detail}".casefold()
        is_stop = synchronous or "stop" in words or "block rule" in words
        return Fault.OPTED_OUT if is_stop else Fault.OTHER
    if error.code in _BLOCKED:
        return Fault.BLOCKED
    if error.code in _RECIPIENT:
        return Fault.RECIPIENT
    return Fault.SENDER if error.code in _SENDER else Fault.OTHER
