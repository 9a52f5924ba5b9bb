"""The Telnyx account: whether the key works, and whether its profiles report in a form that is read."""

from collections.abc import Iterable, Sequence

from service.doctor.finding import Finding, fail, ok, warn
from service.telnyx.client import TelnyxConfig
from service.telnyx.profiles import Profile, ProfilesError, list_profiles

_SUBJECT = "telnyx account"
_PROFILE = "messaging profile"


async def check_account(
    config: TelnyxConfig, configured: Iterable[str], public_url: str
) -> list[Finding]:
    """``configured``: the ids of the messaging profiles that senders name."""
    try:
        profiles = await list_profiles(config)
    except ProfilesError as error:
        return [_unreadable(error)]
    found = [ok(_SUBJECT, "TELNYX_API_KEY works; TELNYX_PUBLIC_KEY is set")]
    return [*found, *check_profiles(profiles, set(configured), f"{public_url}/webhooks/telnyx")]


def check_profiles(
    profiles: Sequence[Profile], wanted: set[str], webhook_url: str
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


def _check_profile(profile: Profile, webhook_url: str, *, used: bool) -> Finding:
    subject = f"{_PROFILE} {profile.name}"
    bad = fail if used else warn
    if profile.webhook_api_version != "2":
        return bad(
            subject,
            f"its webhooks have version {profile.webhook_api_version}: no report could be read",
            "set its webhook API version to 2",
        )
    if not profile.enabled:
        return bad(subject, "it is switched off: nothing is sent through it", "switch it on")
    if profile.webhook_url != webhook_url:
        return warn(
            subject, "its texts (STOP) go elsewhere", f"set its webhook URL to {webhook_url}"
        )
    return ok(subject, "enabled, webhook version 2, its texts come here")


def _unreadable(error: ProfilesError) -> Finding:
    if error.status is None:
        return fail(_SUBJECT, "Telnyx does not answer", "check the way out of this machine")
    if error.status in (401, 403):
        return fail(
            _SUBJECT, "Telnyx refuses TELNYX_API_KEY", "make a new key in the Telnyx portal"
        )
    return warn(_SUBJECT, f"Telnyx answers {error.status}", "try again; see status.telnyx.com")
