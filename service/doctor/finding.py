"""What a check found."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is; one ``fail`` makes the whole examination fail."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """``subject`` is what was looked at, ``says`` what was seen, ``todo`` what to do about it."""

    subject: str
    level: Level
    says: str
    todo: str = ""


def ok(subject: str, says: str) -> Finding:
    return Finding(subject, Level.OK, says)


def warn(subject: str, says: str, todo: str) -> Finding:
    return Finding(subject, Level.WARN, says, todo)


def fail(subject: str, says: str, todo: str) -> Finding:
    return Finding(subject, Level.FAIL, says, todo)
