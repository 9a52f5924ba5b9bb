"""What an inbound text asks for: STOP, START, HELP or nothing.

Sources of the words:

* 47 CFR 64.1200(a)(10) (FR 2024-04587): "stop", "quit", "end", "revoke", "opt out", "cancel" and
  "unsubscribe" revoke consent by themselves, and so does any reply that a reasonable person would take
  for the wish to get no more texts. Telnyx itself blocks neither REVOKE nor OPT OUT, nor any sentence.
* Telnyx, "Advanced opt-in/out": STOP, STOPALL, STOP ALL, UNSUBSCRIBE, CANCEL, END, QUIT; START, UNSTOP; HELP.
  Its lists are English; keywords of other languages are each customer's to add.
* CTIA, Messaging Principles and Best Practices: the same, and YES to start, INFO for help.
* AWS End User Messaging, "Required opt-out keywords": ARRET, REMOVE, TD; its French rules for Canada: AIDE.
* Sinch, consent management: DETENER, SALIR (Spanish); PARAR, CANCELAR (Portuguese). Bronto: STOPP. The
  Brazilian carriers: SAIR. In common use beside them: ALTO, BAJA (Spanish), PARE (Portuguese).

**In doubt a text is a STOP if it can only be meant for the sender of the texts** ("please stop", "stop it",
"I said stop"): to go on is unlawful, and START takes a wrong guess back at once. It is none where the
word has an object of its own ("stop by at 5", "cancel my order"), for a wrong STOP bars a login. Only a
whole keyword is a START: a sentence that was misread must not undo what somebody asked for.
"""

import re
import unicodedata
from enum import StrEnum

from service.domain.stop_phrases import asks_to_stop

MOST_READ = 2_000
"""Characters: more than Telnyx delivers (10 parts); what follows is not read, so time is bounded."""


class Request(StrEnum):
    """What the person who wrote wants."""

    STOP = "stop"
    START = "start"
    HELP = "help"


_ENGLISH = "stop stopall unsubscribe cancel end quit revoke optout remove td unsub"
_OTHERS = "arret arreter desabonner alto parar baja detener salir cancelar pare sair stopp abmelden"
_STOP = frozenset(f"{_ENGLISH} {_OTHERS}".split())
_START = frozenset({"start", "unstop", "yes", "optin"})
_HELP = frozenset({"help", "info", "aide", "ayuda", "ajuda", "hilfe"})
_KEYWORDS = (
    (_STOP, Request.STOP),
    (_START, Request.START),
    (_HELP, Request.HELP),
)
# Beside a keyword these do not change what it asks for.
_COURTESY = "please pls plz kindly thanks thank thx you hi hello hey sir madam ok okay no yes and"
_EMPHASIS = "just now immediately asap today already it this that all everything forever again"
_ABROAD = "favor por merci bitte danke gracias svp sil vous plait obrigado obrigada"
_FILLERS = frozenset(f"{_COURTESY} {_EMPHASIS} {_ABROAD}".split())
# Alone between full stops or commas these are a request even in a longer text ("Wrong number. STOP"); END
# and CANCEL there may be about anything.
_PER_SE_IN_A_CLAUSE = _STOP - {"cancel", "end", "quit", "remove", "td", "cancelar", "salir", "alto"}

_APOSTROPHES = re.compile("['\u2019\u02bc`\u00b4]")
_CLAUSES = re.compile(r"[.,!?;:\n\r()\"\u2013\u2014|/]+|\s-+\s")
_NO_WORD = re.compile(r"[\W\d_]+")


def read_request(text: str) -> Request | None:
    """Read a whole message. Case, accents, width, blanks, punctuation and emoji do not matter."""
    plain = _plain(text)
    whole = _NO_WORD.sub("", plain)
    for words, request in _KEYWORDS:
        if whole in words:
            return request
    clauses = [_NO_WORD.sub(" ", clause).strip() for clause in _CLAUSES.split(plain)]
    if _only(" ".join(clauses).split(), _STOP):
        return Request.STOP
    if any(
        _only(clause.split(), _PER_SE_IN_A_CLAUSE) or asks_to_stop(clause) for clause in clauses
    ):
        return Request.STOP
    return None


def _plain(text: str) -> str:
    """Compatibility forms folded (full-width letters), accents, joiners and apostrophes taken out."""
    folded = unicodedata.normalize("NFKD", text[:MOST_READ]).casefold()
    kept = (c for c in folded if unicodedata.category(c) not in ("Mn", "Me", "Cf"))
    return _APOSTROPHES.sub("", "".join(kept))


def _only(words: list[str], keywords: frozenset[str]) -> bool:
    """Whether the words are one keyword or several, with nothing but fillers about them."""
    meant = [word for word in words if word not in _FILLERS]
    return bool(meant) and ("".join(meant) in keywords or all(w in keywords for w in meant))
