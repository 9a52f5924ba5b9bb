"""How many wrong codes a recipient may get in one app, over all its verifications.

NIST SP 800-63B-4, 3.2.2: at most 100 consecutive failures, and a success clears the count; 3.1.3.2: a new
secret does not reset it. A stranger who guesses must not lock the owner out, so once a client (an
address, a device) was approved for the recipient, a part of the budget is kept for such clients.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from service.domain.guard import Limit, network_of

MOST_WRONG_CODES = 100
CLIENT_IP = "client_ip"
_HOUR = 3_600
_DEFAULT = Limit(10, 86_400)


@dataclass(frozen=True, slots=True)
class GuessBudget:
    """``limit.count`` wrong codes in any ``limit.seconds``; ``reserve`` of them only for known clients.

    ``known_by``: what makes a client known: ``client_ip``, and names of the caller's limit keys. A key that
    names the account (``user``) must not be among them, for a stranger's start carries it too.
    """

    limit: Limit = _DEFAULT
    reserve: int = 5
    known_by: Sequence[str] = (CLIENT_IP, "device")

    def clients(
        self,
        digest: Callable[[str, str], str],
        *,
        app: str,
        recipient_id: str,
        client_ip: str | None,
        limit_keys: Mapping[str, str],
    ) -> tuple[str, ...]:
        """Keyed digests of what the client of a start can be known by, good for this recipient alone."""
        named = dict(limit_keys)
        named.pop(CLIENT_IP, None)
        if client_ip is not None:
            named[CLIENT_IP] = network_of(client_ip)
        return tuple(
            digest("known-client", f"{app}|{recipient_id}|{name}|{named[name]}")
            for name in self.known_by
            if name in named
        )


def parse_budget(wrong_codes: Limit, reserve: int | None, known_by: Sequence[str]) -> GuessBudget:
    """Check a budget. ``reserve`` is half of it by default.

    Raises:
        ValueError: it allows more than NIST does, or leaves a new client nothing.
    """
    if wrong_codes.count > MOST_WRONG_CODES:
        raise ValueError(
            f"wrong_codes must be at most {MOST_WRONG_CODES} (NIST SP 800-63B-4, 3.2.2)"
        )
    if wrong_codes.seconds < _HOUR:
        raise ValueError(f"wrong_codes must span at least {_HOUR} seconds")
    kept = wrong_codes.count // 2 if reserve is None else reserve
    if kept >= wrong_codes.count:
        raise ValueError("reserve must be smaller than the count of wrong_codes")
    return GuessBudget(wrong_codes, kept, tuple(known_by))
