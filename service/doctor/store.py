"""Redis or Valkey: whether it can be used, and whether it will keep what it is told."""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from service.clock import SystemClock
from service.doctor.finding import Finding, fail, ok, warn
from service.domain.app import App
from service.domain.errors import UnavailableError
from service.domain.keyring import Keyring, KeyringError
from service.store import keys
from service.store.apps import AppStore
from service.store.connection import MIN_REDIS, Connection, StoreSetupError, Tls
from service.store.lookup import sealed_copies
from service.store.records import pairs
from service.store.scripts import Scripts
from service.store.setup import LAYOUT, layout_fault

_MOST_SKEW = 1_000


async def check_store(
    url: str, tls: Tls, keyring: Keyring | None, *, copied: bool = False
) -> list[Finding]:
    """All that can be said of the server at ``url``. ``copied``: replicas have to answer for it."""
    try:
        connection = await Connection.open(url, tls)
    except StoreSetupError as error:
        return [fail("redis", str(error), "mend REDIS_URL")]
    except UnavailableError:
        return [
            fail(
                "redis",
                "it does not answer at REDIS_URL",
                "check that it runs, and the URL, password and [redis] files",
            )
        ]
    try:
        meta = pairs(await connection.command("HGETALL", keys.META))
        infos = await connection.infos()
        found = [finding for info in infos for finding in check_server(info)]
        found += [check_replicas(info) for info in infos if copied]
        found += [check_tls(url), await _check_clock(connection), check_layout(meta)]
        apps = await AppStore(connection, Scripts(connection), SystemClock()).list()
        found.append(check_apps([one.app for one in apps]))
        return found if keyring is None else [*found, check_lookup(meta, keyring)]
    finally:
        await connection.close()


def check_server(info: dict[str, object]) -> list[Finding]:
    """What INFO says of version, eviction and persistence."""
    return [_check_version(info), _check_eviction(info), _check_persistence(info)]


def check_tls(url: str) -> Finding:
    parts = urlsplit(url)
    if parts.scheme.startswith("rediss"):
        return ok("redis tls", "the connection is encrypted, the server's name is checked")
    # Where a Sentinel is says nothing of where it leads.
    near = parts.hostname in ("127.0.0.1", "localhost", "::1") and "sentinel" not in parts.scheme
    if parts.scheme == "unix" or near:
        return ok("redis tls", "none, and none needed: the server is on this machine")
    return warn(
        "redis tls",
        "none: masked numbers and ids cross the network in clear",
        "use rediss://, with [redis] ca_file if the CA is your own",
    )


def check_layout(meta: dict[str, str]) -> Finding:
    if "layout" not in meta:
        return ok("redis layout", "empty; the first start writes it")
    layout, partitions = int(meta["layout"]), int(meta.get("partitions", 0))
    if fault := layout_fault(layout, partitions):
        return fail("redis layout", *fault)
    if layout < LAYOUT:
        return warn(
            "redis layout",
            f"layout {layout}, and {LAYOUT} is this release's: the audit trail is not sealed meanwhile",
            "once no process of an older release runs: countersign migrate run",
        )
    return ok("redis layout", f"layout {layout}, {partitions} partitions")


def check_apps(apps: Sequence[App]) -> Finding:
    """Whether a code that never changes is right for some number."""
    tested = [f"{app.id} ({len(app.test_numbers)})" for app in apps if app.test_numbers]
    if tested:
        return warn(
            "test numbers",
            f"apps with numbers whose code never changes: {', '.join(tested)}",
            "where nobody tests or reviews any more: set test_numbers = {} in the app",
        )
    return ok("test numbers", "none")


def check_lookup(meta: dict[str, str], keyring: Keyring) -> Finding:
    copies = sealed_copies(meta)
    try:
        if copies and keyring.open_lookup(copies) is None:
            return fail(
                "keyring",
                f"the data belongs to other master keys: {', '.join(sorted(copies))}",
                "put one of them back into COUNTERSIGN_KEYS",
            )
    except KeyringError as error:
        return fail("keyring", str(error), "restore cs:meta from a backup")
    left = sorted(copies.keys() - set(keyring.ids))
    if left:
        return warn(
            "keyring",
            f"keys that are not in the keyring still open the look-up key: {', '.join(left)}",
            "put them back, or end their retirement with: countersign keyring retire <id>",
        )
    return ok("keyring", f"{len(keyring.ids)} strong key(s), newest {keyring.newest}")


def check_replicas(info: dict[str, object]) -> Finding:
    """Whether ``durability = "replica"`` can be kept, also when one server is away."""
    found = [value for name, value in info.items() if re.fullmatch(r"slave\d+", name)]
    online = sum(isinstance(one, dict) and one.get("state") == "online" for one in found)
    if online == 0:
        return fail(
            "redis replicas",
            'none is connected: [redis] durability = "replica" refuses every login',
            "connect a replica to each primary",
        )
    if online == 1:
        return warn(
            "redis replicas",
            "one: while it is away, or once it is promoted, logins are refused",
            "connect a second replica to each primary",
        )
    return ok("redis replicas", f"{online} are connected")


async def _check_clock(connection: Connection) -> Finding:
    clock = SystemClock()
    before = clock.now()
    times = await connection.times()
    ours = (before + clock.now()) // 2
    return check_clock(max((time - ours for time in times), key=abs))


def check_clock(skew: int) -> Finding:
    """``skew``: of the server that is off most, in milliseconds."""
    if abs(skew) > _MOST_SKEW:
        return warn(
            "clock",
            f"{skew} ms off Redis' clock; the service corrects itself by it",
            "run NTP on both machines: Telnyx's signatures are dated",
        )
    return ok("clock", f"{skew} ms off Redis' clock")


def _check_version(info: dict[str, object]) -> Finding:
    if "valkey_version" in info:
        return ok("redis version", f"Valkey {info['valkey_version']}")
    version = str(info["redis_version"])
    if tuple(int(part) for part in version.split(".")[:2]) < MIN_REDIS:
        return fail("redis version", f"Redis {version} is too old", "use 6.2 or newer")
    return ok("redis version", f"Redis {version}")


def _check_eviction(info: dict[str, object]) -> Finding:
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        return fail(
            "redis eviction",
            f"{policy}: logins, limits and opt-outs may vanish",
            "set maxmemory-policy noeviction",
        )
    return ok("redis eviction", "noeviction")


def _check_persistence(info: dict[str, object]) -> Finding:
    if not info.get("aof_enabled"):
        return warn(
            "redis persistence", "no append-only file: a restart loses logins", "set appendonly yes"
        )
    return ok("redis persistence", "append-only file")
