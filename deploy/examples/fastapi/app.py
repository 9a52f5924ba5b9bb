"""A login with a code by text message, for FastAPI."""

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import Cookie, FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel

from service.client import (
    AsyncCountersign,
    CountersignError,
    InvalidRequestError,
    RateLimitedError,
    RecipientOptedOutError,
    ResendTooSoonError,
    VerificationClosedError,
)

ORIGIN = os.environ.get("ORIGIN")
PAGE = Path(__file__).parents[1] / "web"


@dataclass
class Session:
    verification: str
    logged_in: bool = False


class Phone(BaseModel):
    number: str
    attempt: str  # one for each click on "send": a retry of the page sends no second message


class Typed(BaseModel):
    code: str


class NoLoginError(Exception):
    """Nobody asked for a code with this cookie."""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncCountersign.from_env() as countersign:
        app.state.countersign = countersign
        yield


app = FastAPI(lifespan=lifespan)
sessions: dict[str, Session] = {}
SessionId = Annotated[str, Cookie(alias="session")]


@app.post("/login")
async def begin(phone: Phone, request: Request) -> JSONResponse:
    started = await client(request).start(
        phone.number,
        client_ip=request.client.host if request.client else None,
        web_origin=ORIGIN,
        idempotency_key=phone.attempt,
    )
    return open_session(Session(started.id), "A code is on its way.")


@app.post("/login/code")
async def finish(typed: Typed, request: Request, id_: SessionId = "") -> JSONResponse:
    session = find(id_)
    try:
        verdict = await client(request).verify(session.verification, typed.code)
    except InvalidRequestError:  # letters, or too few digits
        return say("That was not the code.", 403)
    if not verdict.approved:
        return say("That was not the code.", 403)
    # A new session, so that nobody knows its cookie beforehand.
    del sessions[id_]
    return open_session(Session(session.verification, logged_in=True), "You are logged in.")


@app.post("/login/again")
async def again(request: Request, id_: SessionId = "") -> JSONResponse:
    await client(request).resend(find(id_).verification)
    return say("Another code is on its way.")


@app.get("/me")
async def me(id_: SessionId = "") -> JSONResponse:
    return JSONResponse({"logged_in": find(id_).logged_in})


@app.exception_handler(NoLoginError)
async def refuse(request: Request, error: Exception) -> JSONResponse:
    return say("Please ask for a code first.", 401)


@app.exception_handler(CountersignError)
async def explain(request: Request, error: Exception) -> JSONResponse:
    """For the person; the error itself is for your log."""
    match error:
        case InvalidRequestError():
            return say("This is no phone number that we can text.", 422)
        case RecipientOptedOutError():
            return say(
                "This number asked for no more texts. Text START to us to get them again.", 403
            )
        case RateLimitedError() | ResendTooSoonError():
            return say(f"Please wait {error.retry_after or 60} seconds.", 429)
        case VerificationClosedError():
            return say("This code is no longer valid. Please ask for a new one.", 409)
    return say("We cannot send a code right now.", 503)


def client(request: Request) -> AsyncCountersign:
    found: AsyncCountersign = request.app.state.countersign
    return found


def find(id_: str) -> Session:
    if id_ not in sessions:
        raise NoLoginError
    return sessions[id_]


def open_session(session: Session, said: str) -> JSONResponse:
    id_ = secrets.token_urlsafe()
    sessions[id_] = session
    answer = say(said)
    # `secure` keeps it off plain http; trying it out on 127.0.0.1 needs it there.
    answer.set_cookie("session", id_, httponly=True, samesite="strict", secure=bool(ORIGIN))
    return answer


def say(said: str, status: int = 200) -> JSONResponse:
    return JSONResponse({"said": said}, status)


app.mount("/", StaticFiles(directory=PAGE, html=True))
