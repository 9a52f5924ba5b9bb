"""Overload: who is turned away, and that nobody is without need."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar

from service.api.admission import FEW, GOAL, Admission, Kind, kind_of
from service.domain.code import HASH_PROFILES, Code
from service.domain.errors import UnavailableError
from service.flow.hashing import HashPool
from service.telemetry import Metrics

_TICK = 0.02
_EACH = 5  # done in a tick: 250 a second


def _after(
    *waits: float, inside: int = 0, done: int = _EACH, away: int = 0, tick: float = _TICK
) -> Admission:
    """With so many inside, after looks that found these waits, between which so many were done."""
    admission = Admission(away=lambda: away)
    for wait in waits:
        for _ in range(done):
            admission.enter()
            admission.leave()
        admission.observe(wait, tick)
    for _ in range(inside):
        admission.enter()
    return admission


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("POST", "/v1/verifications", Kind.START),
        ("POST", "/v1/notices", Kind.START),
        ("POST", "/v1/verifications/ver_00/verify", Kind.FINISH),
        ("GET", "/v1/verifications/ver_00", Kind.FINISH),
        ("GET", "/v1/audit/events", Kind.START),
        ("POST", "/webhooks/telnyx/ver_00.1.00", Kind.ALWAYS),
        ("GET", "/readyz", Kind.ALWAYS),
        ("GET", "/metrics", Kind.ALWAYS),
    ],
)
def test_what_a_request_is_worth(method: str, path: str, kind: Kind) -> None:
    assert kind_of(method, path) is kind


@given(st.lists(st.floats(0, 10), max_size=300))
def test_one_long_step_now_and_then_turns_nobody_away(waits: list[float]) -> None:
    seldom = [wait if n % 3 == 0 else 0.0 for n, wait in enumerate(waits)]
    admission = _after(*seldom, inside=10_000)
    assert all(admission.admits(kind) for kind in Kind)


@given(st.integers(1, 50), st.sampled_from([0.02, 0.1, 0.3]))
def test_under_load_as_many_are_inside_as_are_done_within_the_goal(done: int, tick: float) -> None:
    looks = [1.0] * 100
    may = max(int(GOAL * done / tick), FEW)
    assert _after(*looks, inside=may - 2, done=done, tick=tick).admits(Kind.START)
    assert not _after(*looks, inside=may + 2, done=done, tick=tick).admits(Kind.START)


def test_what_ends_a_login_is_let_in_when_starts_are_not_and_webhooks_always() -> None:
    beyond = int(GOAL * _EACH / _TICK) + 10
    admission = _after(*[1.0] * 60, inside=beyond)
    assert not admission.admits(Kind.START)
    assert admission.admits(Kind.FINISH)
    admission = _after(*[1.0] * 60, inside=10 * beyond)
    assert not admission.admits(Kind.FINISH)
    assert admission.admits(Kind.ALWAYS)


def test_once_the_load_is_gone_all_are_let_in() -> None:
    looks = [*[1.0] * 60, *[0.0] * 6]
    assert _after(*looks, inside=10_000).admits(Kind.START)


def test_who_waits_for_telnyx_is_not_inside() -> None:
    """However slow it is, there is nothing to do here meanwhile."""
    assert _after(*[1.0] * 60, inside=1_000, away=980).admits(Kind.START)
    assert not _after(*[1.0] * 60, inside=1_000, away=500).admits(Kind.START)


def test_few_are_let_in_however_long_they_wait() -> None:
    """It is not they who are too many."""
    stalled = [100 * GOAL] * 60
    assert all(_after(*stalled, inside=FEW - 1, done=0).admits(kind) for kind in Kind)
    assert not _after(*stalled, inside=FEW, done=0).admits(Kind.START)


async def test_who_is_turned_away_is_told_when_to_come_again() -> None:
    admission, metrics = _after(*[1.0] * 60, inside=FEW, done=0), Metrics()
    app = admission.guard(Litestar([], openapi_config=None), metrics)
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        refused = await http.post("/v1/verifications", json={})
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert refused.json()["type"].endswith("/problems/unavailable")
        assert (await http.get("/livez")).status_code == 404
    assert 'countersign_shed_total{kind="start"} 1.0' in metrics.render().decode()


async def test_a_full_pool_refuses_starts_before_verifies() -> None:
    pool = HashPool(HASH_PROFILES["owasp"], threads=1)
    held = []
    try:
        for _ in range(pool.places):
            slot = pool.slot()
            slot.__enter__()
            held.append(slot)
            if len(held) == pool.places // 2:
                with pytest.raises(UnavailableError):
                    pool.check_start()
                assert not pool.full
        assert pool.full
        with pytest.raises(UnavailableError), pool.slot():
            pass
    finally:
        for slot in held:
            slot.__exit__(None, None, None)
        pool.close()


async def test_the_pool_has_as_many_places_as_its_hashes_are_fast() -> None:
    pool = HashPool(HASH_PROFILES["minimum"], threads=1)
    assumed = pool.places
    with pool.slot():
        for _ in range(50):
            await pool.digest(Code("123456"), verification="v", pepper=b"p" * 32, salt=b"s" * 16)
    assert pool.places != assumed
    pool.close()
