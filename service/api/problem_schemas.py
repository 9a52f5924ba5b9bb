"""Problem types for the OpenAPI document: one schema and one example for each slug."""

from collections.abc import Iterable
from typing import Any

from service.api.problems import PROBLEMS, TYPE_BASE, to_document
from service.domain.errors import (
    CountersignError,
    CountryNotAllowedError,
    FieldError,
    ForbiddenError,
    IdempotencyInProgressError,
    IdempotencyMismatchError,
    InvalidRequestError,
    NotFoundError,
    NoticeClosedError,
    NumberTypeNotAllowedError,
    RateLimitedError,
    RecipientOptedOutError,
    ResendTooSoonError,
    SuspectedFraudError,
    UnauthorizedError,
    VerificationClosedError,
)
from service.domain.notice import NoticeStatus
from service.domain.verification import Status

Document = dict[str, Any]
BASE = "Problem"
RETRY_LATER = frozenset(
    {"rate-limited", "resend-too-soon", "unavailable", "idempotency-in-progress"}
)
"""What carries Retry-After."""

_COUNT = {"type": "integer", "minimum": 0}
# Members beside RFC 9457's own.
_MEMBERS: dict[str, Document] = {
    "forbidden": {"scope": {"type": "string", "description": "The scope that the key needs."}},
    "suspected-fraud": {
        "dimension": {"type": "string", "description": "What shows it: prefix, country ..."},
        "window": {"type": "integer", "minimum": 1, "description": "Seconds."},
        "sent": {**_COUNT, "description": "Messages in the window."},
        "proven": {**_COUNT, "description": "Of them those whose code was typed in."},
        "threshold": {**_COUNT, "description": "The most unproven messages that are borne."},
    },
    "verification-closed": {
        "status": {
            "type": "string",
            "enum": list(Status),
            "description": "How the verification ended, in the place of the HTTP status.",
        }
    },
    "notice-closed": {
        "status": {
            "type": "string",
            "enum": list(NoticeStatus),
            "description": "What became of the notice, in the place of the HTTP status.",
        }
    },
    "invalid-request": {
        "errors": {
            "type": "array",
            "description": "Every fault found.",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {
                    "pointer": {
                        "type": "string",
                        "description": "A JSON pointer (RFC 6901) into the body, or a parameter's name.",
                    },
                    "detail": {"type": "string"},
                },
            },
        }
    },
    "rate-limited": {"limit": {"type": "string", "description": "Which limit is used up."}},
}
_NUMBER = FieldError("/to", "is no valid phone number; write it as E.164, such as +12025550123")
_EXAMPLES: tuple[CountersignError, ...] = (
    UnauthorizedError("Send a valid key as 'Authorization: Bearer cs_...'."),
    ForbiddenError("The key needs the scope audit.", {"scope": "audit"}),
    RecipientOptedOutError("The recipient asked for no more messages; they can text START."),
    CountryNotAllowedError("No route covers the recipient's country."),
    NumberTypeNotAllowedError("A fixed line gets no codes."),
    SuspectedFraudError(
        "Too few of the messages to numbers like this one are proven.",
        {"dimension": "prefix", "window": 3600, "sent": 31, "proven": 1, "threshold": 20},
    ),
    NotFoundError("There is no such verification."),
    NoticeClosedError(NoticeStatus.SENT),
    VerificationClosedError(Status.EXPIRED),
    IdempotencyInProgressError("The first request with this key is still at work.", 1),
    IdempotencyMismatchError("This Idempotency-Key was used with another body."),
    InvalidRequestError([_NUMBER]),
    RateLimitedError("recipient", 240),
    ResendTooSoonError("A further message can be sent after the time in Retry-After.", 24),
)


def schema_name(slug: str) -> str:
    """Such as ``RateLimitedProblem``."""
    return "".join(word.capitalize() for word in slug.split("-")) + BASE


def problem_schemas(slugs: Iterable[str]) -> Document:
    """The schema that all share, and each slug's own."""
    return {BASE: _base()} | {schema_name(slug): _schema(slug) for slug in slugs}


def problem_examples(slugs: Iterable[str]) -> Document:
    """An answer of each slug."""
    made = {error.slug: error for error in _EXAMPLES}
    examples: Document = {}
    for slug in slugs:
        error, title = made.get(slug), PROBLEMS[slug][1]
        value = to_document(slug, error.detail, error.members) if error else to_document(slug)
        examples[schema_name(slug)] = {"summary": title, "value": value}
    return examples


def _schema(slug: str) -> Document:
    status, title = PROBLEMS[slug]
    members = _MEMBERS.get(slug, {})
    own = {"type": {"const": TYPE_BASE + slug}, "status": {"const": status}} | members
    return {
        "description": f"{title}.",
        "allOf": [
            {"$ref": f"#/components/schemas/{BASE}"},
            {"type": "object", "required": sorted(own), "properties": own},
        ],
    }


def _base() -> Document:
    return {
        "title": BASE,
        "description": "RFC 9457 problem details; further members stand beside these.",
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string", "enum": [TYPE_BASE + slug for slug in sorted(PROBLEMS)]},
            "title": {"type": "string"},
            "status": {
                "type": ["integer", "string"],
                "description": "The HTTP status; where something has ended, that thing's status.",
            },
            "detail": {"type": "string", "description": "What is wrong, and what to do."},
        },
    }
