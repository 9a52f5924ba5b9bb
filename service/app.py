"""The one place where the parts are built and joined."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

from litestar import Litestar

from service.api.application import create_api, create_inspection
from service.api.key_limits import KeyLimits
from service.api.parts import Parts
from service.callbacks.client import CallbackClient
from service.callbacks.deliveries import LEASE, Deliveries
from service.clock import Clock, SystemClock
from service.dashboard.routes import dashboard
from service.domain.guard import parse_limit
from service.domain.keyring import Keyring
from service.domain.ordering import KEEP_SENDER
from service.flow.advance import Advance
from service.flow.api_keys import ApiKeys
from service.flow.apps import Apps
from service.flow.breakers import Breakers
from service.flow.facts import Facts
from service.flow.guard import Guard
from service.flow.hashing import HashPool
from service.flow.idempotency import Idempotent
from service.flow.lookups import Lookups
from service.flow.migrating import Migrating
from service.flow.notices import Notices
from service.flow.opt_out_sync import OptOutSync
from service.flow.ordering import Figures, Ordering
from service.flow.pumping import Pumping
from service.flow.quarantine import Quarantine
from service.flow.sealing import Sealing
from service.flow.spending import Spending
from service.flow.start import Start
from service.flow.statistics import Statistics
from service.flow.tasks import SEND_BUDGET, Tasks
from service.flow.verify import Verify
from service.settings import Settings, SettingsError
from service.store.api_keys import ApiKeyStore, Scope
from service.store.apps import AppStore
from service.store.breakers import BreakerStore
from service.store.callbacks import CallbackStore
from service.store.chain import ChainStore
from service.store.connection import Connection
from service.store.limits import LimitStore
from service.store.lines import LineStore
from service.store.lookup import open_keyring
from service.store.money import MoneyStore
from service.store.opt_out_sync import OptOutSyncStore
from service.store.people import PeopleStore
from service.store.pumping import PumpingStore
from service.store.quarantines import QuarantineStore
from service.store.recipients import RecipientStore
from service.store.reservations import ReservationStore
from service.store.scripts import Scripts
from service.store.sessions import SessionStore
from service.store.setup import check_setup
from service.store.stats import StatsStore
from service.store.trail import TrailStore
from service.store.verifications import VerificationStore
from service.telemetry import Metrics
from service.telnyx.account import TelnyxAccount
from service.telnyx.client import TelnyxClient
from service.tracing import TracingSetupError, begin_tracing
from service.worker import (
    COUNT_INTERVAL_UNDER_LOAD,
    ORDER_INTERVAL,
    Worker,
    correct_clock,
    keep_migrating,
    keep_opt_outs,
    keep_time,
    keep_up,
)

DRAIN_TIMEOUT = 20.0
"""Seconds that a stop waits for work in flight: more than the longest send."""


class Role(StrEnum):
    """What a process does: answer requests, advance what is due, or both."""

    ALL = "all"
    API = "api"
    WORKER = "worker"


@dataclass(frozen=True, slots=True)
class Service:
    """The joined parts of one process."""

    api: Litestar
    advance: Advance
    worker: Worker
    deliveries: Deliveries
    opt_out_sync: OptOutSync
    statistics: Statistics
    sealing: Sealing
    migrating: Migrating
    ordering: Ordering
    quarantine: Quarantine | None
    tasks: Tasks
    telnyx: TelnyxClient
    inspection: Litestar | None = None


@asynccontextmanager
async def build(
    settings: Settings, role: Role = Role.ALL, clock: Clock | None = None
) -> AsyncIterator[Service]:
    """Connect, check the store, join the parts; on leaving, finish what is in flight.

    Raises:
        UnavailableError: Redis does not answer.
        StoreSetupError: Redis cannot be used as it is.
        SettingsError: traces are asked for, and cannot be made.
    """
    async with AsyncExitStack() as closing:
        closing.push_async_callback(asyncio.to_thread, _begin_tracing())
        connection = await Connection.open(
            settings.redis_url.get_secret_value(),
            settings.tls(),
            copied=settings.redis.durability == "replica",
        )
        closing.push_async_callback(connection.close)
        await check_setup(connection)
        time = clock or SystemClock()
        telnyx, account = TelnyxClient(settings.telnyx()), TelnyxAccount(settings.telnyx(), time)
        hashing = HashPool(settings.hash_cost(), settings.hash.threads)
        callbacks = CallbackClient(settings.callbacks.rules())
        closing.callback(hashing.close)
        for client in (account, callbacks, telnyx):
            closing.push_async_callback(client.close)
        service = _join(
            settings,
            connection,
            telnyx,
            hashing,
            time,
            keyring=await open_keyring(connection, settings.keyring(), time.now()),
            callbacks=callbacks,
            account=account,
            takes_requests=role is not Role.WORKER,
        )
        await service.deliveries.prepare()
        if settings.upgrades == "at_once":
            await service.migrating.store.close_at_once()
        await service.migrating.store.is_done()  # so that no start has to ask
        if settings.api_key is not None:
            first = settings.api_key.get_secret_value()
            await ApiKeyStore(connection, time).ensure(first, "default", list(Scope))
        if isinstance(time, SystemClock):
            await correct_clock(time, connection)
            closing.push_async_callback(_cancel, asyncio.create_task(keep_time(time, connection)))
        if settings.ordering_policy().is_on and role is not Role.WORKER:
            await service.ordering()
            following = keep_up(service.ordering, asyncio.Event(), ORDER_INTERVAL)
            closing.push_async_callback(_cancel, asyncio.create_task(following))
        closing.push_async_callback(service.tasks.drain, DRAIN_TIMEOUT)
        if role is not Role.API:
            await closing.enter_async_context(_polling(service, settings.opt_outs.sync_interval))
        yield service


@asynccontextmanager
async def _polling(service: Service, sync_interval: float) -> AsyncIterator[None]:
    """A worker's loops; on leaving they end what they have begun, within DRAIN_TIMEOUT."""
    stopping = asyncio.Event()
    sealing = partial(keep_up, service.sealing)
    counting = partial(keep_up, service.statistics, busy=COUNT_INTERVAL_UNDER_LOAD)
    migrating = partial(keep_migrating, service.migrating)
    loops: list[Callable[[asyncio.Event], Coroutine[Any, Any, None]]]
    loops = [service.worker.run, service.deliveries.run, sealing, counting, migrating]
    if service.quarantine is not None:
        loops.append(partial(keep_up, service.quarantine, every=ORDER_INTERVAL))
    polling = [asyncio.create_task(loop(stopping)) for loop in loops]
    syncing = list[asyncio.Task[None]]()
    if sync_interval:
        sync = keep_opt_outs(service.opt_out_sync, sync_interval, stopping)
        syncing.append(asyncio.create_task(sync))
    try:
        yield
    finally:
        stopping.set()
        await asyncio.wait(polling, timeout=DRAIN_TIMEOUT)
        # A sync may be a long one; whoever comes next goes on where it ended.
        await _cancel(*polling, *syncing)


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _begin_tracing() -> Callable[[], None]:
    try:
        return begin_tracing()
    except TracingSetupError as error:
        raise SettingsError(str(error)) from error


def _join(
    settings: Settings,
    connection: Connection,
    telnyx: TelnyxClient,
    hashing: HashPool,
    clock: Clock,
    *,
    keyring: Keyring,
    callbacks: CallbackClient,
    account: TelnyxAccount,
    takes_requests: bool,
) -> Service:
    metrics, tasks = Metrics(), Tasks()
    metrics.hashing.set_function(lambda: hashing.in_use)
    metrics.hashing_places.set_function(lambda: hashing.places)
    routing, policy, messages = settings.routing(), settings.policy(), settings.messages()
    texts = settings.texts_()
    scopes = settings.opt_out_scopes()
    scripts = Scripts(connection)
    migrating = Migrating(connection, scripts, clock, metrics)
    store = VerificationStore(
        connection,
        scripts,
        routing.senders,
        lease=settings.lease(),
        retention=settings.retention * 1000,
        budget=settings.guard.budget(),
        uniform=settings.uniform_answers,
        keep_sender=KEEP_SENDER if settings.ordering_policy().sticky else 0,
        migrations=migrating.store,
    )
    recipients, apps = RecipientStore(connection, scripts), AppStore(connection, scripts, clock)
    rules, lookups, uniform = settings.rules(), None, settings.uniform_answers
    if lookup_policy := settings.lookup.policy():
        lookups = Lookups(
            account=account,
            store=LineStore(connection, lookup_policy.keep),
            rules=rules,
            policy=lookup_policy,
            clock=clock,
            metrics=metrics,
        )
    limit_store = LimitStore(connection, scripts, keyring.digest)
    money = settings.money.policy()
    spending = Spending(
        store=MoneyStore(scripts, keyring.digest, currency=money.currency),
        limits=limit_store,
        policy=money,
        keyring=keyring,
        clock=clock,
        metrics=metrics,
    )
    breakers = Breakers(
        store=BreakerStore(connection, scripts),
        policy=settings.guard.breaker.policy(),
        keyring=keyring,
        clock=clock,
        metrics=metrics,
    )
    advance = Advance(
        store=store,
        apps=apps,
        recipients=recipients,
        telnyx=telnyx,
        hashing=hashing,
        keyring=keyring,
        spending=spending,
        breakers=breakers,
        policy=policy,
        scopes=scopes,
        messages=messages,
        texts=texts,
        clock=clock,
        metrics=metrics,
        uniform=uniform,
        lookups=lookups if uniform else None,  # Otherwise the guard asks, before it answers.
    )
    pumping = Pumping(
        store=PumpingStore(connection, scripts),
        limits=limit_store,
        policy=settings.guard.pumping.policy(),
        digest=keyring.digest,
        clock=clock,
        metrics=metrics,
    )
    facts = Facts(
        store=store,
        recipients=recipients,
        advance=advance,
        tasks=tasks,
        pumping=pumping,
        spending=spending,
        keyring=keyring,
        policy=policy,
        scopes=scopes,
        resend_after=messages.resend_after,
        clock=clock,
        uniform=uniform,
    )
    stats = StatsStore(connection, scripts, routing.senders)
    quarantines = QuarantineStore(connection, scripts)
    ordering = Ordering(
        figures=Figures(stats, clock),
        apps=apps,
        quarantines=quarantines,
        policy=settings.ordering_policy(),
        clock=clock,
        metrics=metrics,
    )
    quarantine = Quarantine(
        store=quarantines,
        figures=Figures(stats, clock),
        policy=settings.ordering.quarantine_policy(),
        clock=clock,
        metrics=metrics,
    )
    limits = settings.limits_()
    guard = Guard(
        store=limit_store,
        rules=rules,
        pumping=pumping,
        lookups=lookups,
        spending=spending,
        ordering=ordering,
        clock=clock,
        metrics=metrics,
    )
    # A request may wait for its budget, the store and the hash pool before it is answered.
    reservations = ReservationStore(connection, scripts, running=SEND_BUDGET + 10_000)
    start = Start(
        store=store,
        apps=apps,
        idempotent=Idempotent(reservations, keyring, clock),
        guard=guard,
        advance=advance,
        tasks=tasks,
        hashing=hashing,
        keyring=keyring,
        routing=routing,
        texts=texts,
        ordering=ordering,
        limits=limits,
        budget=settings.guard.budget(),
        clock=clock,
        metrics=metrics,
        uniform=uniform,
    )
    verify = Verify(
        store=store,
        hashing=hashing,
        keyring=keyring,
        pumping=pumping,
        breakers=breakers,
        tasks=tasks,
        issuer=settings.public_url,
        clock=clock,
        metrics=metrics,
    )
    notices = Notices(
        start=start,
        store=store,
        apps=apps,
        telnyx=telnyx,
        texts=settings.notice_texts(),
        app_name=settings.app_name,
        clock=clock,
    )
    api_keys = ApiKeyStore(connection, clock, tasks.spawn)
    keys = ApiKeys(api_keys, clock)
    chain = ChainStore(connection, scripts)
    parts = Parts(
        stats=stats,
        trail=TrailStore(connection),
        people=PeopleStore(connection, scripts),
        chain=chain,
        start=start,
        verify=verify,
        facts=facts,
        notices=notices,
        apps=Apps(
            store=apps,
            api_keys=keys,
            ground=settings.ground(),
            keyring=keyring,
            clock=clock,
        ),
        recipients=recipients,
        api_keys=api_keys,
        keys=keys,
        key_limits=KeyLimits(
            limit_store, limits.api_key, parse_limit(settings.limits.failed_keys), clock, metrics
        ),
        connection=connection,
        public_keys=settings.public_keys(),
        keyring=keyring,
        alphabet=settings.codes.alphabet,
        callbacks=settings.callbacks.rules(),
        uniform_answers=uniform,
        sessions=SessionStore(connection, keyring.digest),
        pumping=PumpingStore(connection, scripts),
        breakers=BreakerStore(connection, scripts),
        quarantines=quarantines,
        is_https=settings.public_url.startswith("https:"),
        clock=clock,
        metrics=metrics,
    )
    apart = settings.http.inspection is not None
    pages = [dashboard()]
    api = create_api(
        parts, takes_requests=takes_requests, inspection=not apart, pages=() if apart else pages
    )
    inspection = create_inspection(parts, api, pages) if apart else None
    deliveries = Deliveries(
        CallbackStore(connection, scripts, lease=LEASE),
        callbacks,
        keyring,
        url=settings.callbacks.url,
        clock=clock,
        metrics=metrics,
    )
    sync = OptOutSync(
        store=OptOutSyncStore(connection, scripts),
        account=account,
        keyring=keyring,
        scopes=scopes,
        clock=clock,
    )
    return Service(
        api=api,
        advance=advance,
        worker=Worker(store, advance, clock, metrics),
        deliveries=deliveries,
        opt_out_sync=sync,
        statistics=Statistics(stats, metrics),
        sealing=Sealing(chain, keyring, clock, metrics),
        migrating=migrating,
        ordering=ordering,
        quarantine=quarantine if settings.ordering_policy().quarantine else None,
        tasks=tasks,
        telnyx=telnyx,
        inspection=inspection,
    )
