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

_SLOW = 3 * GOAL


def _admitted(
    admission: Admission, kind: Kind, of: int = 2_000, *, inside: int = 10 * FEW
) -> float:
    admission.inside = inside
    return sum(admission.admits(kind) for _ in range(of)) / of


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
    admission = Admission()
    for n, wait in enumerate(waits):
        admission.observe(wait if n % 8 == 0 else 0.0)
    assert admission.share == 0
    assert _admitted(admission, Kind.START, 100) == 1


def test_a_wait_that_stays_turns_starts_away_more_and_more_and_then_lets_them_in() -> None:
    admission, shares = Admission(), []
    for _ in range(60):
        admission.observe(_SLOW)
        shares.append(admission.share)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert _admitted(admission, Kind.START) == 0
    assert _admitted(admission, Kind.FINISH) == 1
    for _ in range(60):
        admission.observe(0)
    assert _admitted(admission, Kind.START) == 1


def test_far_beyond_no_login_is_finished_either_but_webhooks_are_taken() -> None:
    admission = Admission()
    for _ in range(60):
        admission.observe(100 * GOAL)
    assert _admitted(admission, Kind.FINISH) == 0
    assert _admitted(admission, Kind.ALWAYS) == 1


def test_few_are_let_in_however_long_they_wait() -> None:
    """It is not they who are too many."""
    admission = Admission()
    for _ in range(60):
        admission.observe(100 * GOAL)
    for kind in Kind:
        assert _admitted(admission, kind, inside=FEW - 1) == 1
    assert _admitted(admission, Kind.START, inside=FEW) == 0


@given(st.lists(st.sampled_from([0.0, GOAL, _SLOW]), max_size=400))
def test_the_share_is_one(waits: list[float]) -> None:
    admission = Admission()
    for wait in waits:
        admission.observe(wait)
        assert 0 <= admission.share <= 1


async def test_who_is_turned_away_is_told_when_to_come_again() -> None:
    admission, metrics = Admission(), Metrics()
    for _ in range(60):
        admission.observe(_SLOW)
    admission.inside = FEW
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
