"""A login with a code by text message, for Django."""

import os
import sys
import uuid
from pathlib import Path

import django
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.http import require_GET, require_POST

from service.client import (
    Countersign,
    CountersignError,
    InvalidRequestError,
    RateLimitedError,
    RecipientOptedOutError,
    ResendTooSoonError,
    VerificationClosedError,
)

settings.configure(
    SECRET_KEY=os.environ.get("DJANGO_SECRET_KEY", "only for trying it out"),
    DEBUG=True,
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
    ],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "DIRS": [Path(__file__).parent],
        }
    ],
)
django.setup()

countersign = Countersign.from_env()


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    return show(request)


@require_POST
def begin(request: HttpRequest) -> HttpResponse:
    try:
        started = countersign.start(
            request.POST["number"],
            client_ip=request.META["REMOTE_ADDR"],
            # One for each page that was shown: who clicks twice gets one message.
            idempotency_key=request.POST["attempt"],
        )
    except CountersignError as error:
        return show(request, explain(error))
    request.session["verification"] = started.id
    return show(request, "A code is on its way.")


@require_POST
def finish(request: HttpRequest) -> HttpResponse:
    try:
        verdict = countersign.verify(request.session["verification"], request.POST["code"])
    except InvalidRequestError:  # letters, or too few digits
        return show(request, "That was not the code.")
    except CountersignError as error:
        return show(request, explain(error))
    if not verdict.approved:
        return show(request, "That was not the code.")
    return log_in(request)


@require_POST
def again(request: HttpRequest) -> HttpResponse:
    try:
        countersign.resend(request.session["verification"])
    except CountersignError as error:
        return show(request, explain(error))
    return show(request, "Another code is on its way.")


def log_in(request: HttpRequest) -> HttpResponse:
    request.session.flush()  # a new session, so that nobody knows its cookie beforehand
    request.session["logged_in"] = True
    return redirect("/")


def show(request: HttpRequest, said: str = "") -> HttpResponse:
    shown = {"said": said, "session": request.session, "attempt": uuid.uuid4()}
    return render(request, "page.html", shown)


def explain(error: CountersignError) -> str:
    """For the person; the error itself is for your log."""
    match error:
        case InvalidRequestError():
            return "This is no phone number that we can text."
        case RecipientOptedOutError():
            return "This number asked for no more texts. Text START to us to get them again."
        case RateLimitedError() | ResendTooSoonError():
            return f"Please wait {error.retry_after or 60} seconds."
        case VerificationClosedError():
            return "This code is no longer valid. Please ask for a new one."
    return "We cannot send a code right now."


urlpatterns = [
    path("", home),
    path("login", begin),
    path("login/code", finish),
    path("login/again", again),
]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
