"""The Telnyx account: whether the key works, and whether its profiles report in a form that is read."""

from collections.abc import Iterable, Sequence

from service.clock import SystemClock
from service.doctor.finding import Finding, fail, ok, warn
from service.telnyx.account import TelnyxAccount
from service.telnyx.failures import RateLimitedError, ServerError, TelnyxCallError
from service.telnyx.http import TelnyxConfig
from service.telnyx.resources import MessagingProfile

_SUBJECT = "telnyx account"
_PROFILE = "messaging profile"


async def check_account(
    config: TelnyxConfig, configured: Iterable[str], public_url: str
) -> list[Finding]:
    """``configured``: the ids of the messaging profiles that senders name."""
    account = TelnyxAccount(config, SystemClock())
    try:
        profiles = [profile async for profile in account.list_profiles()]
    except TelnyxCallError as error:
        return [judge_failure(error)]
    finally:
        await account.close()
    found = [ok(_SUBJECT, "TELNYX_API_KEY works; TELNYX_PUBLIC_KEY is set")]
    return [*found, *check_profiles(profiles, set(configured), f"{public_url}/webhooks/telnyx")]


def check_profiles(
    profiles: Sequence[MessagingProfile], wanted: set[str], webhook_url: str
) -> list[Finding]:
    """Hold the account's profiles against the configuration."""
    missing = sorted(wanted - {profile.id for profile in profiles})
    found = [
        fail(_PROFILE, f"{id_} is not in the account", "mend messaging_profile_id of the sender")
        for id_ in missing
    ]
    if not profiles:
        found.append(warn(_PROFILE, "the account has none", "make one in the Telnyx portal"))
    return found + [_check_profile(p, webhook_url, used=p.id in wanted) for p in profiles]


def _check_profile(profile: MessagingProfile, webhook_url: str, *, used: bool) -> Finding:
    subject = f"{_PROFILE} {profile.name or profile.id}"
    bad = fail if used else warn
    if profile.webhook_api_version != "2":
        return bad(
            subject,
            f"its webhooks have version {profile.webhook_api_version}: no report could be read",
            "set its webhook API version to 2",
        )
    if profile.enabled is False:
        return bad(subject, "it is switched off: nothing is sent through it", "switch it on")
    if profile.webhook_url != webhook_url:
        return warn(
            subject, "its texts (STOP) go elsewhere", f"set its webhook URL to {webhook_url}"
        )
    return ok(subject, "enabled, webhook version 2, its texts come here")


def judge_failure(error: TelnyxCallError) -> Finding:
    """Telnyx's own trouble passes; a key that it refuses does not."""
    if isinstance(error, RateLimitedError | ServerError):
        return warn(_SUBJECT, error.explain(), "run this again later")
    return fail(_SUBJECT, error.explain(), "nothing can be sent until this is mended")
