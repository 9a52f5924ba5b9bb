"""The ``Idempotency-Key`` header (draft-ietf-httpapi-idempotency-key-header-07, section 2.1)."""

import re
from collections.abc import Sequence

from service.domain.errors import InvalidRequestError

MAX_KEY = 255
# RFC 9651, section 3.3.3: printable ASCII in quotes, where a backslash stands before a quote or itself; an
# Item may have parameters, of which the draft defines none.
_STRING = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"(?: *;[\x20-\x7e]*)?', re.ASCII)
_BARE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+", re.ASCII)


def read_idempotency_key(lines: Sequence[str]) -> str | None:
    """The key as a Structured Field String, or bare, as most clients send it; the two are the same key.

    Raises:
        InvalidRequestError: it is neither, empty, too long, or there are several.
    """
    if not lines:
        return None
    value = lines[0].strip(" \t")
    quoted = _STRING.fullmatch(value)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else value
    if len(lines) > 1 or not (quoted or _BARE.fullmatch(value)) or not 0 < len(key) <= MAX_KEY:
        raise InvalidRequestError.at(
            "",
            "the header Idempotency-Key must come once: a Structured Field String (in quotes), or "
            f"visible ASCII, of 1 to {MAX_KEY} characters",
        )
    return key
