"""What an operator can send: one model for each endpoint, with the fields that Telnyx's OpenAPI gives it
and no other."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

MOST_OF_A_GROUP = 8
_RESERVED = {"START": "start", "STOP": "stop", "HELP": "info"}

From = Annotated[str, Field(alias="from")]


class AutoresponseBody(BaseModel):
    """An auto-response: what Telnyx does and answers when it reads one of the keywords (the page on
    opt-outs: at most 20 of them, a text of at least 20 characters, and three words keep their meaning)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    op: Literal["start", "stop", "info"]
    keywords: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=64)], ...],
        Field(min_length=1, max_length=20),
    ]
    country_code: Annotated[str, Field(pattern=r"^([A-Z]{2}|\*)$")] = "*"
    resp_text: Annotated[str | None, Field(min_length=20, max_length=1_600)] = None

    @model_validator(mode="after")
    def _reserved_words_keep_their_meaning(self) -> "AutoresponseBody":
        for word in self.keywords:
            meant = _RESERVED.get(word.strip().upper(), self.op)
            if meant != self.op:
                raise ValueError(f"{word} always means {meant}: take it out of this {self.op}")
        return self


class Outgoing(BaseModel):
    """A message to send; ``path`` is its endpoint."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    path: ClassVar[str]

    def body(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class _Reported(Outgoing):
    webhook_url: str | None = None
    webhook_failover_url: str | None = None
    use_profile_webhooks: bool | None = None


class _Content(_Reported):
    text: str | None = None
    subject: str | None = None
    media_urls: list[str] | None = None


class _Text(_Content):
    to: str
    type: Literal["SMS", "MMS"] | None = None
    auto_detect: bool | None = None


class _Encoded(_Text):
    encoding: Literal["auto", "gsm7", "ucs2"] | None = None


class Generic(_Encoded):
    """``from_`` may be any sender; a number pool sends where there is only a profile."""

    path = "/messages"
    from_: Annotated[str | None, Field(alias="from")] = None
    messaging_profile_id: str | None = None
    send_at: AwareDatetime | None = None


class LongCode(_Encoded):
    path = "/messages/long_code"
    from_: From


class ShortCode(_Encoded):
    path = "/messages/short_code"
    from_: From


class NumberPool(_Encoded):
    path = "/messages/number_pool"
    messaging_profile_id: str


class Alphanumeric(_Reported):
    path = "/messages/alphanumeric_sender_id"
    from_: From
    to: str
    text: str
    messaging_profile_id: str


class GroupMms(_Content):
    path = "/messages/group_mms"
    from_: From
    to: Annotated[list[str], Field(min_length=1, max_length=MOST_OF_A_GROUP)]


class Scheduled(_Text):
    """5 minutes to 5 days ahead, accurate to a minute (KB "schedule message")."""

    path = "/messages/schedule"
    from_: Annotated[str | None, Field(alias="from")] = None
    messaging_profile_id: str | None = None
    send_at: AwareDatetime


class WhatsApp(Outgoing):
    """``whatsapp_message`` as Telnyx documents it: a template outside the 24 hours in which the
    person has written."""

    path = "/messages/whatsapp"
    from_: From
    to: str
    type: Literal["WHATSAPP"] = "WHATSAPP"
    whatsapp_message: dict[str, Any]
    messaging_profile_id: str | None = None
    webhook_url: str | None = None
