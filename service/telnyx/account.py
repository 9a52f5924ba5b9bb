"""The account as an operator sees and sets it up: every call of Telnyx Messaging that a sender of codes
touches.

Reads are tried again, with growing pauses, where that may help; whatever changes or sends something is
asked for once, because Telnyx knows no idempotency key. All methods raise ``TelnyxCallError``.
"""

import itertools
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from service.clock import Clock
from service.telnyx.failures import (
    NoIdError,
    RateLimitedError,
    ServerError,
    TelnyxCallError,
    UnexpectedAnswerError,
    UnreachableError,
    failure_of,
)
from service.telnyx.http import NEVER_CONNECTED, TelnyxConfig, open_http, read_json
from service.telnyx.outgoing import AutoresponseBody, Outgoing
from service.telnyx.resources import (
    AlphanumericSenderId,
    Autoresponse,
    HostedNumber,
    Listing,
    MessageRecord,
    MessagingProfile,
    Metrics,
    NumberLookup,
    OptOutItem,
    Page,
    Resource,
)

TRIES = 4
LARGEST_PAGE = 250
_FIRST_PAUSE, _LONGEST_PAUSE = 500, 60_000
_PASSING = (RateLimitedError, ServerError, UnreachableError)
TimeFrame = Literal["1h", "3h", "24h", "3d", "7d", "30d"]

M = TypeVar("M", bound=BaseModel)
R = TypeVar("R", bound=Resource)
Params = Mapping[str, str | int | None]


class TelnyxAccount:
    """One account, by its API key."""

    def __init__(self, config: TelnyxConfig, clock: Clock) -> None:
        self._http = open_http(config)
        self._clock = clock

    async def close(self) -> None:
        await self._http.aclose()

    async def send(self, message: Outgoing) -> MessageRecord:
        """Send, or schedule, a message of any form."""
        return await self._write(MessageRecord, "POST", message.path, message.body())

    async def retrieve_message(self, id_: str) -> MessageRecord:
        return await self._one(MessageRecord, f"/messages/{_part(id_)}")

    async def retrieve_group(self, id_: str) -> Sequence[MessageRecord]:
        """The messages of a group MMS, one for each member."""
        return await self._whole(MessageRecord, f"/messages/group/{_part(id_)}")

    async def cancel_scheduled(self, id_: str) -> MessageRecord:
        """Allowed until a minute before it is to leave."""
        return await self._write(MessageRecord, "DELETE", f"/messages/{_part(id_)}")

    def list_sender_ids(
        self, *, messaging_profile_id: str | None = None
    ) -> AsyncIterator[AlphanumericSenderId]:
        params = {"filter[messaging_profile_id]": messaging_profile_id}
        return self._all(AlphanumericSenderId, "/alphanumeric_sender_ids", params)

    def list_sender_ids_of_profile(self, profile_id: str) -> AsyncIterator[AlphanumericSenderId]:
        path = f"{_profile(profile_id)}/alphanumeric_sender_ids"
        return self._all(AlphanumericSenderId, path, {})

    async def create_sender_id(
        self,
        sender_id: str,
        messaging_profile_id: str,
        *,
        us_long_code_fallback: str | None = None,
    ) -> AlphanumericSenderId:
        body = {
            "alphanumeric_sender_id": sender_id,
            "messaging_profile_id": messaging_profile_id,
            "us_long_code_fallback": us_long_code_fallback,
        }
        path = "/alphanumeric_sender_ids"
        return await self._write(AlphanumericSenderId, "POST", path, _given(body))

    async def get_sender_id(self, id_: str) -> AlphanumericSenderId:
        return await self._one(AlphanumericSenderId, f"/alphanumeric_sender_ids/{_part(id_)}")

    async def delete_sender_id(self, id_: str) -> AlphanumericSenderId:
        path = f"/alphanumeric_sender_ids/{_part(id_)}"
        return await self._write(AlphanumericSenderId, "DELETE", path)

    def list_numbers(
        self,
        *,
        messaging_profile_id: str | None = None,
        phone_number: str | None = None,
        contains: str | None = None,
        sort: Literal["asc", "desc"] | None = None,
    ) -> AsyncIterator[HostedNumber]:
        params = {
            "filter[messaging_profile_id]": messaging_profile_id,
            "filter[phone_number]": phone_number,
            "filter[phone_number][contains]": contains,
            "sort[phone_number]": sort,
        }
        return self._all(HostedNumber, "/messaging_hosted_numbers", params)

    async def get_number(self, number: str) -> HostedNumber:
        """By id or by phone number."""
        return await self._one(HostedNumber, f"/messaging_hosted_numbers/{_part(number)}")

    async def update_number(
        self,
        number: str,
        *,
        messaging_profile_id: str | None = None,
        messaging_product: str | None = None,
        tags: Sequence[str] | None = None,
    ) -> HostedNumber:
        """What is ``None`` stays as it is; an empty ``messaging_profile_id`` takes the number off its
        profile."""
        body = {
            "messaging_profile_id": messaging_profile_id,
            "messaging_product": messaging_product,
            "tags": None if tags is None else list(tags),
        }
        path = f"/messaging_hosted_numbers/{_part(number)}"
        return await self._write(HostedNumber, "PATCH", path, _given(body))

    async def list_opt_outs(
        self,
        *,
        messaging_profile_id: str | None = None,
        from_: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        page_number: int = 1,
        page_size: int = LARGEST_PAGE,
    ) -> Page[OptOutItem]:
        """One page: a sync remembers how far it came. Telnyx can add and remove no block by API."""
        params: Params = {
            "filter[messaging_profile_id]": messaging_profile_id,
            "filter[from]": from_,
            "created_at[gte]": created_after.isoformat() if created_after else None,
            "created_at[lte]": created_before.isoformat() if created_before else None,
        }
        return await self._page(OptOutItem, "/messaging_optouts", params, page_number, page_size)

    def all_opt_outs(self, *, messaging_profile_id: str | None = None) -> AsyncIterator[OptOutItem]:
        params = {"filter[messaging_profile_id]": messaging_profile_id}
        return self._all(OptOutItem, "/messaging_optouts", params)

    async def list_metrics(self, time_frame: TimeFrame | None = None) -> Sequence[Metrics]:
        """The figures of every messaging profile."""
        path = "/messaging_profile_metrics"
        return await self._whole(Metrics, path, {"time_frame": time_frame})

    async def get_metrics(self, profile_id: str, time_frame: TimeFrame | None = None) -> Metrics:
        path = f"{_profile(profile_id)}/metrics"
        return await self._one(Metrics, path, {"time_frame": time_frame})

    def list_profiles(self, *, name: str | None = None) -> AsyncIterator[MessagingProfile]:
        """``name``: a part of it."""
        params = {"filter[name][contains]": name}
        return self._all(MessagingProfile, "/messaging_profiles", params)

    async def get_profile(self, profile_id: str) -> MessagingProfile:
        return await self._one(MessagingProfile, _profile(profile_id))

    async def regenerate_secret(self, profile_id: str) -> MessagingProfile:
        """The new secret is in ``v1_secret``; the old one is dead."""
        path = f"{_profile(profile_id)}/actions/regenerate_secret"
        return await self._write(MessagingProfile, "POST", path)

    async def list_autoresponses(
        self, profile_id: str, *, country_code: str | None = None
    ) -> Sequence[Autoresponse]:
        path = f"{_profile(profile_id)}/autoresp_configs"
        return await self._whole(Autoresponse, path, {"country_code": country_code})

    async def create_autoresponse(
        self, profile_id: str, autoresponse: AutoresponseBody
    ) -> Autoresponse:
        body = autoresponse.model_dump(exclude_none=True)
        path = f"{_profile(profile_id)}/autoresp_configs"
        return await self._write(Autoresponse, "POST", path, body)

    async def get_autoresponse(self, profile_id: str, id_: str) -> Autoresponse:
        path = f"{_profile(profile_id)}/autoresp_configs/{_part(id_)}"
        return await self._one(Autoresponse, path)

    async def update_autoresponse(
        self, profile_id: str, id_: str, autoresponse: AutoresponseBody
    ) -> Autoresponse:
        """The whole of it is replaced."""
        body = autoresponse.model_dump(exclude_none=True)
        path = f"{_profile(profile_id)}/autoresp_configs/{_part(id_)}"
        return await self._write(Autoresponse, "PUT", path, body)

    async def delete_autoresponse(self, profile_id: str, id_: str) -> None:
        await self._request("DELETE", f"{_profile(profile_id)}/autoresp_configs/{_part(id_)}")

    async def lookup(self, number: str) -> NumberLookup:
        """Carrier and line type of a number; Telnyx charges for it."""
        return await self._one(NumberLookup, f"/number_lookup/{_part(number)}", {"type": "carrier"})

    async def _all(self, model: type[R], path: str, params: Params) -> AsyncIterator[R]:
        """Every item, a page at a time."""
        for number in itertools.count(1):
            page = await self._page(model, path, params, number, LARGEST_PAGE)
            for item in page.items:
                yield item
            if number >= page.total_pages or not page.items:
                return

    async def _page(
        self, model: type[R], path: str, params: Params, number: int, size: int
    ) -> Page[R]:
        body = await self._read(path, {**params, "page[number]": number, "page[size]": size})
        listing = _parse(Listing, body)
        items = [_parse(model, item) for item in listing.data]
        # Where Telnyx counts no pages, a full one may have another after it.
        guess = number + 1 if len(items) >= size else number
        return Page(
            items,
            number,
            listing.meta.total_pages or guess,
            listing.meta.total_results or len(items),
        )

    async def _whole(self, model: type[R], path: str, params: Params | None = None) -> Sequence[R]:
        """A list that has no pages."""
        listing = _parse(Listing, await self._read(path, params))
        return [_parse(model, item) for item in listing.data]

    async def _one(self, model: type[R], path: str, params: Params | None = None) -> R:
        return _parse(model, _data(await self._read(path, params)))

    async def _write(
        self, model: type[R], method: str, path: str, body: dict[str, Any] | None = None
    ) -> R:
        answer = await self._request(method, path, json=body)
        return _parse(model, _data(answer), is_read=False)

    async def _read(self, path: str, params: Params | None = None) -> object:
        """GET, up to ``TRIES`` times where another try may help."""
        for failed in range(TRIES - 1):
            try:
                return await self._request("GET", path, params=_given(params or {}))
            except _PASSING as error:
                pause = _pause(error, failed)
                if pause > _LONGEST_PAUSE:
                    raise
                await self._clock.sleep(pause)
        return await self._request("GET", path, params=_given(params or {}))

    async def _request(self, method: str, path: str, **given: Any) -> object:
        is_read = method == "GET"
        try:
            response = await self._http.request(method, path, **given)
        except NEVER_CONNECTED as error:
            raise UnreachableError(None) from error
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
            raise UnreachableError(None, maybe_done=not is_read) from error
        if not response.is_success:
            raise failure_of(response, self._clock.now(), is_read=is_read)
        return read_json(response)


def _pause(error: TelnyxCallError, failed: int) -> int:
    """Milliseconds: what Telnyx asks for, else growing, never in step with other clients."""
    if error.retry_after is not None:
        return error.retry_after
    return int(_FIRST_PAUSE * 2**failed * random.uniform(0.5, 1.5))  # noqa: S311


def _parse(model: type[M], value: object, *, is_read: bool = True) -> M:
    try:
        return model.model_validate(value)
    except ValidationError:
        # Its cause would quote the answer, and with it numbers and texts.
        raise UnexpectedAnswerError(httpx.codes.OK, maybe_done=not is_read) from None


def _data(body: object) -> object:
    # A few calls answer with the bare object.
    return body.get("data", body) if isinstance(body, dict) else body


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _profile(id_: str) -> str:
    return f"/messaging_profiles/{_part(id_)}"


def _part(text: str) -> str:
    """One part of a path, whatever is in it but nothing: without it a path names something else."""
    if text in {"", ".", ".."}:
        raise NoIdError
    return quote(text, safe="")
