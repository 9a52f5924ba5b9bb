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

MOST_READ = 2_000
"""Characters: more than Telnyx delivers (10 parts); what follows is not read, so time is bounded."""


class Request(StrEnum):
    """What the person who wrote wants."""

    STOP = "stop"
    START = "start"
    HELP = "help"


_STOP = frozenset(
    # English
    "stop stopall unsubscribe cancel end quit revoke optout remove td unsub "
    # French, Spanish, Portuguese, German and the Nordic languages
    "arret arreter desabonner alto parar baja detener salir cancelar pare sair stopp abmelden".split()
)
_START = frozenset({"start", "unstop", "yes", "optin"})
_HELP = frozenset({"help", "info", "aide", "ayuda", "ajuda", "hilfe"})
_KEYWORDS = (
    (_STOP, Request.STOP),
    (_START, Request.START),
    (_HELP, Request.HELP),
)
# Beside a keyword these do not change what it asks for.
_FILLERS = frozenset(
    "please pls plz kindly just ok okay now immediately asap today already thanks thank thx you hi hello hey "
    "sir madam it this that all everything forever again no yes and favor por merci bitte danke gracias "
    "svp s'il vous plait obrigado obrigada".split()
)
# Alone between full stops or commas these are a request even in a longer text ("Wrong number. STOP"); END
# and CANCEL there may be about anything.
_PER_SE_IN_A_CLAUSE = _STOP - {"cancel", "end", "quit", "remove", "td", "cancelar", "salir", "alto"}

_MESSAGES = (
    "texts?|texting|txts?|txting|sms|smses|messages?|messaging|msgs?|contact|contacting|spam|spamming|alerts?|"
    "notifications?|codes?|bothering|harassing|pestering|reminders?"
)
_BETWEEN = (
    "with|all|any|the|these|those|this|that|your|sending|send|to|me|my|us|getting|get|of|receiving|receive|"
    "future|further|more|unwanted|automated|marketing|promotional|annoying|stupid|damn|being|be|"
    "such|anymore|out|on"
)
_CEASE = "stop|quit|cease|end|cancel|discontinue|halt|terminate"
_NOT = "dont|do not|never|wont|will not|didnt|did not|not"
_ME = "me|us|this number|my number|my phone|my cell"
_LATER = "the|your|his|her|their|its|until|till|while|when|if|before|after|a|an|tomorrow|tonight|about"
_OTHERS = "they|he|she|we|you|u|i|people|it|who"

_REQUESTS = tuple(
    re.compile(pattern)
    for pattern in (
        # stop texting me; cancel these alerts
        rf"\b(?:{_CEASE}) (?:(?:{_BETWEEN}) ){{0,6}}(?:{_MESSAGES})\b(?! (?:him|her|them|while|and driv|board|bus))",
        # don't text me again; never contact this number
        rf"(?<!\w )\b(?:dont|do not|never) (?:ever )?(?:call |phone |or |and ){{0,2}}(?:{_MESSAGES}) "
        rf"(?:{_ME})\b(?! (?:{_LATER})\b)",
        rf"\b(?:please|pls|plz|so|and|just) (?:dont|do not|never) (?:ever )?(?:call |phone |or |and ){{0,2}}"
        rf"(?:{_MESSAGES}) (?:{_ME})\b(?! (?:{_LATER})\b)",
        # don't send me any more messages
        rf"(?<!\w )\b(?:please )?(?:dont|do not|never) send (?:(?:{_BETWEEN}) ){{0,5}}(?:{_MESSAGES}|anything)\b",
        # I no longer want to receive texts
        rf"\b(?:dont|do not|no longer|never) (?:want|wish|need|like|consent|agree) (?:(?:{_BETWEEN}) ){{0,6}}"
        rf"(?:{_MESSAGES}|texted|messaged|contacted)\b",
        # unsubscribe me; I want to opt out
        r"\b(?:unsubscribe|unsub|opt (?:me |us )?out|optout)\b"
        r"(?! (?:clause|option|form|link|button|page|rate|policy|date|period|of the (?!text|list|mess|sms)))",
        # take me off your list; remove my number
        rf"\b(?:take|remove|delete|drop|get) (?:{_ME}|my name|my phone number) (?:(?:off|from|out of|of|the|this|"
        rf"that|your|all|any|mailing|texting|text|sms|messaging|phone|contact|marketing) ){{0,6}}"
        rf"(?:lists?|database|system|contacts|records|{_MESSAGES})\b",
        r"^(?:please )?(?:remove (?:me|us|my number|this number)|take (?:me|us|my number) off)(?: please| now)?$",
        rf"\bno more (?:(?:{_BETWEEN}) ){{0,3}}(?:{_MESSAGES})\b",
        r"^(?:please )?(?:no more|no mas|leave me alone|lose my number|cease and desist|go away)(?: please| now)?$",
        r"\b(?:please )?leave me alone\b",
        r"\b(?:revoke|withdraw) (?:(?:my|all|any|the) ){0,2}(?:consent|permission)\b",
        r"\b(?:i|we) (?:said|say|want (?:you|this|it) to|need (?:you|this|it) to|(?:told|asked|ask) (?:you|u) to) stop$",
        r"^(?:can|could|will|would) (?:you|u) (?:please )?stop(?: please| it| this| now)?$",
        r"\bmake (?:it|this|them) stop$",
        # Spanish, French, Portuguese, German
        r"\bno (?:me )?(?:envien?|envies|manden?|mandes|escriban) mas\b",
        r"\bdeje?n? de (?:enviar|mandar)",
        r"\bne (?:m ?envoyez|m ?envoie|nous envoyez) plus\b",
        r"\bdesabonnez moi\b",
        r"\bnao (?:me )?(?:enviem?|mandem?) mais\b",
        r"\bpar[ea]m? de (?:me )?(?:enviar|mandar)",
        r"\bkeine (?:weiteren )?(?:sms|nachrichten|codes) mehr\b",
    )
)
# "Don't stop texting me", "did you stop sending codes?", "the bus stop message board".
_INNOCENT = re.compile(
    rf"\b(?:{_NOT}|cant|cannot) (?:ever |please |(?:want|need|wish|mean|going|have|like) (?:(?:you|u|them) )?to )?"
    rf"(?:{_CEASE}|unsubscribe|opt out)\b"
    rf"|\bdid (?:{_OTHERS}) (?:just |accidentally |really |already )?(?:{_CEASE}|unsubscribe|opt out)\b"
    r"|\b(?:bus|train|tram|metro|full|pit|next|last|first|the|a|non|rest|truck) (?:stop|end)\b"
    rf"|\b(?:{_OTHERS}) (?:dont|do not|never) (?:send|text|message|contact)\b"
)
_APOSTROPHES = re.compile("['\u2019\u02bc`\u00b4]")  # noqa: RUF001  what phones write
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
    if any(_only(clause.split(), _PER_SE_IN_A_CLAUSE) or _asks(clause) for clause in clauses):
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


def _asks(clause: str) -> bool:
    said = _INNOCENT.sub(" ", clause)
    return any(pattern.search(said) for pattern in _REQUESTS)
