"""Requests to stop in plain language, told apart from texts that only contain the words.

47 CFR 64.1200(a)(10): any reply that a reasonable person would understand as the wish for no more texts.
The patterns are read against one clause at a time: lower case, no accents, single blanks, no punctuation,
"dont" for "don't". Every repetition in them is bounded, so the time is linear in the text.
"""

import re

_WORDS = {
    "cease": "(?:stop|quit|cease|end|cancel|discontinue|halt|terminate)",
    "messages": (
        "(?:texts?|texting|texted|txts?|txting|sms|smses|messages?|messaging|messaged|msgs?|spam|spamming|"
        "contact|contacting|contacted|alerts?|notifications?|reminders?|codes?|"
        "bothering|harassing|pestering)"
    ),
    # What may stand between the verb and the messages without changing what is asked.
    "any": (
        "(?:(?:with|all|any|the|these|those|this|that|your|sending|send|to|me|my|us|getting|get|of|"
        "receiving|receive|future|further|more|unwanted|automated|marketing|promotional|annoying|stupid|"
        "damn|being|be|such|anymore|out|on) ){0,6}"
    ),
    "me": "(?:me|us|this number|my number|my phone|my cell)",
    "off": (
        "(?:(?:off|from|out|of|the|this|that|your|all|any|mailing|texting|text|sms|messaging|phone|"
        "contact|marketing) ){0,6}"
    ),
    "list": "(?:lists?|database|system|records)",
    "not_a_thing": "(?!\\w)(?! (?:clause|option|form|link|button|page|rate|policy|period))",
    "never": "(?:dont|do not|never)",
    "not": "(?:dont|do not|never|will not|wont|did not|didnt|not|cant|cannot)",
    "call": "(?:ever )?(?:call |phone |or |and ){0,2}",
    "now": "(?: please| now| it| this){0,2}",
    "please": "(?:please |pls |plz |so |and |just |or ){0,2}",
    "they": "(?:they|he|she|we|you|u|i|people|it|who)",
    "wanting": "(?:(?:want|need|wish|mean|going|have|like) (?:(?:you|u|them) )?to )?",
    "unsubscribe": "(?:unsubscribe|unsub|opt (?:me |us )?out|optout)",
    # "Don't text me the address" is about this once.
    "once": (
        "(?! (?:the|your|his|her|their|until|till|while|when|if|before|after|an?|tomorrow|tonight|about)"
        "\\b)"
    ),
}

_REQUESTS = """
    {cease} {any}{messages}(?! (?:him|her|them|while|and driv|board|bus))
    ^{please}{never} {call}{messages} {me}{once}
    (?:please|pls|so|and|just) {never} {call}{messages} {me}{once}
    ^{please}{never} send {any}(?:{messages}|anything)
    (?:dont|do not|no longer|never) (?:want|wish|need|like|consent|agree) {any}{messages}
    {unsubscribe}{not_a_thing}
    (?:take|remove|delete|drop|get) (?:{me}|my name|my phone number) {off}(?:{list}|{messages})
    ^{please}(?:remove (?:me|us|my number|this number)|take (?:me|us|my number) off){now}$
    no more {any}{messages}
    ^{please}(?:no more|no mas|lose my number|cease and desist|go away){now}$
    leave me alone
    (?:revoke|withdraw) (?:(?:my|all|any|the) ){{0,2}}(?:consent|permission)
    (?:i|we) (?:said|say|(?:want|need|told|asked|ask) (?:you|u|this|it) to) stop{now}$
    ^(?:can|could|will|would) (?:you|u) (?:please )?stop{now}$
    make (?:it|this|them) stop$
    no (?:me )?(?:envien?|envies|manden?|mandes|escriban) mas
    dejen? de (?:enviar|mandar)
    ne (?:m ?envoyez|m ?envoie|nous envoyez) plus
    desabonnez moi
    nao (?:me )?(?:enviem?|mandem?) mais
    par[ae]m? de (?:me )?(?:enviar|mandar)
    keine (?:weiteren )?(?:sms|nachrichten|codes) mehr
"""

# "Don't stop texting me"; "did you stop sending codes?"; the bus stop; "you don't text me any more".
_INNOCENT = """
    {not} (?:ever |please )?{wanting}(?:{cease}|{unsubscribe})
    did {they} (?:just |accidentally |really |already )?(?:{cease}|{unsubscribe})
    (?:bus|train|tram|metro|full|pit|next|last|first|the|a|non|rest|truck) (?:stop|end)
    {they} {never} (?:send|text|message|contact)
"""


def _read(lines: str) -> tuple[re.Pattern[str], ...]:
    filled = (line.strip().format(**_WORDS) for line in lines.strip().splitlines())
    return tuple(re.compile(rf"(?<!\w)(?:{line})(?!\w)") for line in filled)


_ASKING, _TELLING = _read(_REQUESTS), _read(_INNOCENT)


def asks_to_stop(clause: str) -> bool:
    """Whether a clause asks, in so many words, for the texts to stop."""
    for innocent in _TELLING:
        clause = innocent.sub(" ", clause)
    return any(asking.search(clause) for asking in _ASKING)
