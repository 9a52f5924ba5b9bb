"""What bodies and answers look like, for the OpenAPI document. One login goes through all of them."""

from typing import Any

from pydantic import BaseModel

from service.api.apps import (
    AppAnswer,
    AppBody,
    AppDefinition,
    AppsAnswer,
    KeyAnswer,
    KeyBody,
    KeysAnswer,
    LimitsBody,
    NewKeyAnswer,
    RouteBody,
)
from service.api.audit import CheckpointAnswer, CheckpointsAnswer, EventAnswer, EventsAnswer
from service.api.notices import NoticeAnswer, NoticeBody
from service.api.opt_outs import OptOutAnswer, OptOutsAnswer
from service.api.proofs import JwkAnswer, JwksAnswer
from service.api.stats import (
    CostModel,
    DeliveriesAnswer,
    DeliveriesRow,
    FunnelAnswer,
    FunnelRow,
    Seconds,
)
from service.api.verifications import (
    CostAnswer,
    DeliveryAnswer,
    StartBody,
    VerdictAnswer,
    VerificationAnswer,
    VerifyBody,
)
from service.domain.notice import NoticeStatus
from service.domain.plan import SenderKind
from service.domain.verification import DeliveryStatus, Reason, Status
from service.store.api_keys import Scope

_ID = "ver_07" + "5f1c" * 8
_NUMBER = "+12025550123"
_MASKED = "+1********23"
_START, _SENT, _END = (
    "2026-05-04T09:30:00.000Z",
    "2026-05-04T09:30:01.250Z",
    "2026-05-04T09:35:00.000Z",
)
_SECONDS = Seconds(p50=1.4, p95=6.2)
_DELIVERY = DeliveryAnswer(
    number=1,
    sender="short",
    kind=SenderKind.SHORT_CODE,
    status=DeliveryStatus.DELIVERED,
    reason=Reason.INITIAL,
    message_id="40385f64-5717-4562-b3fc-2c963f66afa6",
    errors=[],
    cost=CostAnswer(amount="0.0051", currency="USD"),
    created_at=_START,
    updated_at=_SENT,
    proven=False,
)
_OPT_OUT = OptOutAnswer(number=_MASKED, since=_START, source="inbound")
_EVENT = EventAnswer.model_validate(
    {
        "id": "1777887001250-0",
        "type": "verification.approved",
        "at": _SENT,
        "sealed": True,
        "verification": _ID,
        "app": "shop",
    }
)

_APP = AppAnswer(
    app="shop",
    revision=1,
    created_at=_START,
    updated_at=_START,
    definition=AppDefinition(
        name="The Shop",
        routes=[RouteBody(countries=["US", "CA"], plan=["long"])],
        limits=LimitsBody(recipient=["3/600"]),
    ),
    test_numbers=["+1********99"],
)
_KEY = KeyAnswer(
    id="0123456789ab",
    app="shop",
    scopes=[Scope.VERIFICATIONS],
    created_at=_START,
    expires_at=None,
    revoked_at=None,
    last_used_at=_SENT,
)

BODIES: dict[type[BaseModel], dict[str, Any]] = {
    StartBody: {
        "to": _NUMBER,
        "purpose": "login",
        "client_ip": "192.0.2.7",
        "web_origin": "https://shop.example",
        "metadata": {"cart": "7"},
    },
    VerifyBody: {"code": "123456"},
    AppBody: {
        "name": "The Shop",
        "routes": [{"countries": ["US", "CA"], "plan": ["long"]}],
        "limits": {"recipient": ["3/600"]},
        "test_numbers": {"+12025550199": "123456"},
    },
    KeyBody: {"scopes": ["verifications"], "expires_in": 7776000},
    NoticeBody: {"to": _NUMBER, "event": "number_changed", "client_ip": "192.0.2.7"},
}
ANSWERS: dict[type[BaseModel], BaseModel] = {
    type(example): example
    for example in (
        VerificationAnswer(
            id=_ID,
            status=Status.PENDING,
            to=_MASKED,
            country="US",
            purpose="login",
            created_at=_START,
            expires_at=_END,
            resend_after="2026-05-04T09:30:30.000Z",
            attempts_remaining=5,
            deliveries=[_DELIVERY],
            metadata={"cart": "7"},
        ),
        VerdictAnswer(
            id=_ID, approved=True, status=Status.APPROVED, attempts_remaining=4, delivery=1
        ),
        NoticeAnswer(
            id="ntc_07" + "5f1c" * 8,
            status=NoticeStatus.DELIVERED,
            event="number_changed",
            to=_MASKED,
            country="US",
            created_at=_START,
            send_at=None,
            deliveries=[_DELIVERY],
            metadata={},
        ),
        _OPT_OUT,
        _APP,
        AppsAnswer(apps=[_APP]),
        KeysAnswer(keys=[_KEY]),
        NewKeyAnswer(**_KEY.model_dump(), key="cs_0123456789ab_..."),
        OptOutsAnswer(opt_outs=[_OPT_OUT], next_cursor="7.1"),
        EventsAnswer(events=[_EVENT], next_cursor="1777887001250-0-7"),
        CheckpointsAnswer(
            checkpoints=[
                CheckpointAnswer(
                    number=1,
                    at=1777887060000,
                    previous="",
                    key="a1b2c3d4",
                    heads={"07": (1, "1777887001250-0", "5f1c" * 16)},
                    signature="mB2Yk1Xh8Ww=",
                )
            ],
            public_keys={"a1b2c3d4": "d75a" * 16},
        ),
        DeliveriesAnswer(
            window="24h",
            since="2026-05-03T10:00:00.000Z",
            rows=[
                DeliveriesRow(
                    country="US",
                    sender="short",
                    sent=120,
                    rejected=0,
                    delivered=117,
                    failed=2,
                    unconfirmed=1,
                    proven=109,
                    delivered_unproven=9,
                    failed_proven=1,
                    seconds_to_delivery=_SECONDS,
                    seconds_to_approval=_SECONDS,
                    cost=[CostModel(amount="0.612", currency="USD")],
                )
            ],
        ),
        FunnelAnswer(
            window="24h",
            since="2026-05-03T10:00:00.000Z",
            rows=[
                FunnelRow(
                    hour="2026-05-04T09:00:00.000Z",
                    started=120,
                    accepted=120,
                    delivered=118,
                    approved=109,
                    expired=9,
                    locked=0,
                    canceled=2,
                    undeliverable=0,
                    fallbacks={"delivery_failed": 2},
                    blocked={"recipient": 1},
                    seconds_to_approval=_SECONDS,
                )
            ],
        ),
        JwksAnswer(
            keys=[
                JwkAnswer(
                    kty="OKP",
                    crv="Ed25519",
                    alg="EdDSA",
                    use="sig",
                    kid="a1b2c3d4",
                    x="11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                )
            ]
        ),
    )
}
