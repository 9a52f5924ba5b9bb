"""200 phrases with the verdict of each, and what must hold for any text."""

# ruff: noqa: RUF001  the look-alikes are what people type

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.domain.opt_out import MOST_READ, Request, read_request

KEYWORDS = {
    Request.STOP: """
        STOP | stop | Stop | sToP | STOP. | stop!!! | "Stop" | (stop) | <stop> | *STOP* | S.T.O.P. | S T O P
        STOPALL | Stop All | stop-all | UNSUBSCRIBE | Unsubscribe. | CANCEL | cancel! | END | end. | QUIT
        Quit?
        REVOKE | revoke | Revoke! | OPTOUT | OPT OUT | opt-out | Opt Out. | o p t o u t | UNSUB | REMOVE | TD
        ＳＴＯＰ | Ｓｔｏｐ　Ａｌｌ | ŞTOP | stóp | STOP 🛑 | 🛑🛑STOP🛑🛑 | stop👋🏽 | STOP 12345
        ARRET | ARRÊT | arrêt. | Arrêter | désabonner | ALTO | ¡ALTO! | PARAR | BAJA | Detener | SALIR
        CANCELAR | PARE | Sair | STOPP | stopp! | abmelden | stop stop stop | STOP, STOP | stop/cancel
    """,
    Request.START: "START | start | Start! | UNSTOP | un-stop | YES | yes. | Yes! | ＹＥＳ | OPT IN",
    Request.HELP: "HELP | help? | Help! | INFO | info. | ＨＥＬＰ | AIDE | ayuda | ajuda | hilfe",
}
REQUESTS = """
please stop
Stop please
stop it
ok stop
just stop now thanks
Please stop texting me
please don’t text me again
stop sending me messages
Stop sending codes to this number!
can you stop texting me
Would you please stop texting me?
I want you to stop texting me
I asked you to stop
I said STOP
make it stop
quit texting me
please end these messages
cancel my text alerts
STOP SPAMMING ME!!!
stop bothering me
unsubscribe me
please unsubscribe me from this
I want to unsubscribe
How do I opt out?
opt me out please
I would like to opt out of these texts
take me off your list
Take me off of your mailing list!
remove my number from your database
please remove me
get me off this texting list
don't text me again
dont message me anymore
Do not contact me.
never text me again
Don't call or text me
don't send me any more codes
I don't want your texts
I do not wish to receive messages
I no longer want to get these texts
no more texts please
no more
leave me alone
lose my number
cease and desist
I revoke my consent
I hereby withdraw consent
Wrong number. STOP
STOP! who is this?
I do not want this, stop texting me
no me envíen más mensajes
Ne m'envoyez plus de SMS
keine SMS mehr bitte
pare de me enviar mensagens
por favor, dejen de enviar mensajes
Désabonnez-moi svp
this is annoying. stop!
We said stop
please do not send me anything
remove me from this list
"""
INNOCENT = """
I'll stop by at 5
I am at the bus stop
the bus stop message board is broken
don't stop
Don't stop texting me
did you stop sending me codes?
why did you stop texting me
I don't want to stop receiving messages
I can't stop laughing
can we stop for coffee
the last stop is Main St
stop texting her
stop texting and driving
he won't stop texting me
full stop
nonstop
stopwatch
text me when you stop
yes please call me
yes I did
no yes maybe
cancel my order for tomorrow
cancel culture
it's the end of the world
the end
end of month
when does it end?
weekend
quit my job yesterday
I never unsubscribed
did I unsubscribe by accident
is there an opt out clause
revoke my access token
remove the cover
take me home
get me out of here
take me off guard
you don't text me anymore
you don't send me codes
I don't want to miss your messages
don't text me the address, call
I did not get the code
please send another code
send me the code again
what is this message?
start at noon
restart
help me move
information
no more tears
thanks
ok
stop by the office before you go home
don't send the parcel, I will collect it
123456
123456 is my code
👍
停
(empty)
"""


def _table() -> list[tuple[str, Request | None]]:
    rows: list[tuple[str, Request | None]] = []
    for request, listed in KEYWORDS.items():
        rows += [
            (word.strip(" "), request) for line in listed.splitlines() for word in line.split(" | ")
        ]
    rows += [(line, Request.STOP) for line in REQUESTS.splitlines()]
    rows += [(line.replace("(empty)", " "), None) for line in INNOCENT.splitlines()]
    return [row for row in rows if row[0]]


TABLE = _table()


def test_the_table_is_whole() -> None:
    assert len(TABLE) >= 200
    assert len({text for text, _ in TABLE}) == len(TABLE)
    assert {"REVOKE", "OPT OUT"} <= {text for text, verdict in TABLE if verdict is Request.STOP}


@pytest.mark.parametrize(("text", "verdict"), TABLE)
def test_the_verdict(text: str, verdict: Request | None) -> None:
    assert read_request(text) is verdict


_KEYWORD = st.sampled_from(
    [("stop", Request.STOP), ("stopall", Request.STOP), ("unsubscribe", Request.STOP),
     ("cancel", Request.STOP), ("end", Request.STOP), ("quit", Request.STOP),
     ("revoke", Request.STOP), ("optout", Request.STOP), ("opt out", Request.STOP),
     ("arret", Request.STOP), ("start", Request.START), ("unstop", Request.START),
     ("yes", Request.START), ("help", Request.HELP), ("info", Request.HELP)]
)  # fmt: skip
_AROUND = st.text(" \t\r\n.,;:!?-_*\"'()[]0123456789…¡¿🛑🙏🏽\u200b\u00a0\ufe0f", max_size=12)


@given(_KEYWORD, st.data())
def test_case_width_and_what_stands_around_never_change_a_keyword(
    keyword: tuple[str, Request], data: st.DataObject
) -> None:
    word, verdict = keyword
    cased = "".join(data.draw(st.sampled_from([c, c.upper(), _wide(c)])) for c in word)
    assert read_request(data.draw(_AROUND) + cased + data.draw(_AROUND)) is verdict


def _wide(character: str) -> str:
    return chr(ord(character) + 0xFEE0) if character.isalpha() else character


@given(st.text() | st.text("stop dnchmegxru'", max_size=200))
@example("\x00")
@example("\ud800")
def test_any_text_has_a_verdict_that_only_what_is_read_decides(text: str) -> None:
    verdict = read_request(text)
    assert verdict is None or verdict in Request
    if len(text) >= MOST_READ:
        assert read_request(text[:MOST_READ]) is verdict


@pytest.mark.timeout(5)
@pytest.mark.parametrize(
    "piece",
    [
        "stop all ",
        "dont ",
        "take me off of the ",
        "no more any ",
        "i do not want to ",
        "s",
        "\u0301",
        ". ",
    ],
)
def test_long_texts_take_no_long_time(piece: str) -> None:
    """Seconds would pass if a pattern went back over what it had read: each is bounded."""
    assert read_request(piece * 100_000) in (None, Request.STOP)
