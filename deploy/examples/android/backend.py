"""What an Android app's backend needs for a login with a code by text message."""

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from service.client import (
    AsyncCountersign,
    CountersignError,
    InvalidRequestError,
    NotFoundError,
    RateLimitedError,
    RecipientOptedOutError,
    ResendTooSoonError,
    Verification,
    VerificationClosedError,
)

APP_HASH = os.environ.get("APP_HASH", "FA+9qCX9VSu")


class Phone(BaseModel):
    number: str
    device: str
    attempt: str


class Typed(BaseModel):
    code: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncCountersign.from_env() as countersign:
        app.state.countersign = countersign
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/phone")
async def begin(phone: Phone, request: Request) -> dict[str, Any]:
    started = await client(request).start(
        phone.number,
        app_hash=APP_HASH,
        client_ip=request.client.host if request.client else None,
        limit_keys={"device": phone.device},
        idempotency_key=phone.attempt,
    )
    return tell(started)


@app.post("/phone/{verification}/code")
async def finish(verification: str, typed: Typed, request: Request) -> JSONResponse:
    try:
        verdict = await client(request).verify(verification, typed.code)
    except InvalidRequestError:  # letters, or too few digits
        return refuse(403, "wrong_code")
    if not verdict.approved:
        return refuse(403, "wrong_code", attempts_remaining=verdict.attempts_remaining)
    # Yours: a token of the user whose number this is.
    return JSONResponse({"token": secrets.token_urlsafe()})


@app.post("/phone/{verification}/again")
async def again(verification: str, request: Request) -> dict[str, Any]:
    return tell(await client(request).resend(verification))


@app.exception_handler(CountersignError)
async def explain(request: Request, error: Exception) -> JSONResponse:
    match error:
        case InvalidRequestError():
            return refuse(422, "bad_number")
        case RecipientOptedOutError():
            return refuse(403, "opted_out")
        case RateLimitedError() | ResendTooSoonError():
            return refuse(429, "wait", seconds=error.retry_after or 60)
        case VerificationClosedError() | NotFoundError():
            return refuse(409, "ended")
    return refuse(503, "later")


def client(request: Request) -> AsyncCountersign:
    found: AsyncCountersign = request.app.state.countersign
    return found


def tell(verification: Verification) -> dict[str, Any]:
    wait = verification.resend_after - datetime.now(UTC)
    return {"verification": verification.id, "resend_in": max(0, round(wait.total_seconds()))}


def refuse(status: int, error: str, **more: int) -> JSONResponse:
    return JSONResponse({"error": error, **more}, status)
