"""Codes of letters: how they are sent, read as people type them, and kept over a new configuration."""

from typing import Any

import httpx
from redis.asyncio import Redis

from service.domain.code import Alphabet
from tests.harness import World, world

PHONE = "+12025551501"
LETTERS: dict[str, Any] = {"alphabet": "letters", "grouping": "dash", "length": 8}


async def _verify(app: World, id_: str, code: str) -> httpx.Response:
    return await app.api.post(f"/v1/verifications/{id_}/verify", json={"code": code})


async def _sent(app: World, to: str, **body: Any) -> tuple[str, str]:
    started = await app.start(to, **body)
    (message, *_) = reversed(await app.messages(to))
    return started["id"], message["text"]


async def test_letters_are_sent_in_groups_and_read_as_they_are_typed(
    redis: Redis, valkey: str
) -> None:
    async with world(valkey, codes=LETTERS) as app:
        id_, text = await _sent(app, PHONE, web_origin="https://shop.example")
        shown = text.split()[0]
        first, dash, second = shown[:4], shown[4], shown[5:]
        assert dash == "-"
        assert set(first + second) <= set(Alphabet.LETTERS.characters)
        assert text.splitlines()[-1] == f"@shop.example #{first}{second}"
        refused = await _verify(app, id_, "12345678")
        assert refused.status_code == 422
        assert "must be letters" in refused.json()["errors"][0]["detail"]
        assert (await app.get(id_))["attempts_remaining"] == 5
        typed = f" {first.lower()} - {second.lower()} "
        assert (await _verify(app, id_, typed)).json()["approved"] is True


async def test_a_code_that_is_too_easy_to_guess_is_refused(redis: Redis, valkey: str) -> None:
    async with world(valkey, codes=LETTERS) as app:
        answer = await app.api.post("/v1/verifications", json={"to": PHONE, "code_length": 4})
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert error["pointer"] == "/code_length"
        assert "17 bits" in error["detail"]


async def test_the_alphabet_of_a_live_verification_outlives_a_change(
    redis: Redis, valkey: str
) -> None:
    async with world(valkey, codes={"alphabet": "mixed"}) as app:
        id_, text = await _sent(app, PHONE)
        code = text.split()[0]
        assert any(c.isdigit() for c in code)
    async with world(valkey) as app:
        assert (await _verify(app, id_, code.lower())).json()["approved"] is True


async def test_digits_of_any_script_are_read(redis: Redis, valkey: str) -> None:
    async with world(valkey, limits={"recipient": []}) as app:
        for zero in ("٠", "۰", "०", "０", "๐"):  # noqa: RUF001
            id_, text = await _sent(app, PHONE)
            code = "".join(chr(ord(zero) + int(digit)) for digit in text.split()[0])
            assert (await _verify(app, id_, code)).json()["approved"] is True
        id_, text = await _sent(app, PHONE)
        code = text.split()[0]
        assert (await _verify(app, id_, "bcdfgh")).status_code == 422
        pasted = f"\u2068{code[:3]}\u2013{code[3:]}\u2069\u200f"
        assert (await _verify(app, id_, pasted)).json()["approved"] is True


async def test_a_text_goes_out_in_the_language_of_the_recipient(redis: Redis, valkey: str) -> None:
    """In Telnyx's encoding for it, in one part."""
    async with world(valkey, app_name="Acme") as app:
        for number, locale, text in (
            ("+4915123456789", None, "{} ist der Acme-Code. Bitte nicht weitergeben."),
            ("+4915123456788", "uk-UA", "{} — ваш код Acme. Нікому його не кажіть."),
            ("+8613800138000", "xx", "{} 是您的 Acme 验证码。请勿告诉他人。"),
        ):
            _, sent = await _sent(app, number, **({"locale": locale} if locale else {}))
            assert sent == text.format(sent.split()[0])
