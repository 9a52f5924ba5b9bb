"""Number Lookup: what Telnyx knows of a line, before the first message to it. Bounded in time, cached, and
failing as configured."""

import asyncio

import structlog

from service.clock import Clock
from service.domain.line import Line, LookupPolicy, judge_line
from service.domain.recipient import Recipient
from service.domain.rules import Action, Finding, Rule, Rules
from service.domain.verification import Reason
from service.store.lines import LineStore
from service.telemetry import Metrics
from service.telnyx.account import TelnyxAccount
from service.telnyx.failures import TelnyxCallError
from service.telnyx.line import read_line

REASONS = {
    Rule.COUNTRY: Reason.COUNTRY_NOT_ALLOWED,
    Rule.NUMBER_TYPE: Reason.NUMBER_TYPE_NOT_ALLOWED,
    Rule.RECENTLY_PORTED: Reason.NUMBER_TYPE_NOT_ALLOWED,
    Rule.LOOKUP: Reason.PROVIDER_UNAVAILABLE,
}
"""Why a verification is withheld, by the rule that blocks it."""

log = structlog.get_logger(__name__)


class Lookups:
    """Judges recipients by what Telnyx says of their lines."""

    def __init__(
        self,
        *,
        account: TelnyxAccount,
        store: LineStore,
        rules: Rules,
        policy: LookupPolicy,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._account = account
        self._store = store
        self._rules = rules
        self._policy = policy
        self._clock = clock
        self._metrics = metrics

    async def judge(self, recipient: Recipient, recipient_id: str) -> tuple[Finding, ...]:
        """What is to be said of a recipient whom the local rules let pass; a block comes first, alone."""
        line = await self._line(recipient, recipient_id)
        found = judge_line(recipient, line, self._rules, self._policy, self._clock.now())
        blocking = tuple(finding for finding in found if finding.action is Action.BLOCK)[:1]
        for finding in blocking or found:
            self._metrics.guard(finding.rule, finding.action)
        return blocking or found

    async def _line(self, recipient: Recipient, recipient_id: str) -> Line | None:
        """``None`` where Telnyx did not say in time; that is not kept."""
        known = await self._store.get(recipient_id)
        if known is not None:
            self._metrics.lookup("cached")
            return known
        try:
            async with asyncio.timeout(self._policy.timeout):
                line = read_line(await self._account.lookup(recipient.e164))
        except (TelnyxCallError, TimeoutError) as error:
            self._metrics.lookup("failed")
            log.warning("lookup.failed", error=type(error).__name__, action=self._policy.on_failure)
            return None
        self._metrics.lookup("found")
        await self._store.put(recipient_id, line)
        return line
