"""WhatsApp messages: which contents there are, and what of them a phone shows."""

from typing import Any

from service.sandbox.fields import Fields

TYPES = (
    "audio",
    "document",
    "image",
    "sticker",
    "video",
    "interactive",
    "location",
    "template",
    "reaction",
    "contacts",
    "text",
)
_COMPONENTS = ("header", "body", "button")
_BUTTONS = ("quick_reply", "url")
_PARAMETERS = ("text", "image", "video", "document", "currency", "date_time")


def read_content(content: Fields) -> dict[str, Any]:
    """Check a ``whatsapp_message``: its type, and what it says under the name of that type.

    Raises:
        TelnyxError: it is none.
    """
    kind = content.choice("type", TYPES)
    if kind is None:
        raise content.missing("type")
    if kind == "contacts":
        if not content.objects(kind):
            raise content.missing(kind)
        return {"type": kind}
    found = content.object(kind)
    if found is None:
        raise content.missing(kind)
    if kind == "template":
        return {"type": kind, "values": _read_template(found)}
    if kind == "text":
        return {"type": kind, "values": [_body(found)]}
    return {"type": kind}


def shown(content: dict[str, Any]) -> str:
    """What the phone shows. Meta words an authentication template itself: its body is the code and
    this sentence; a template with more values than one is not of that kind."""
    match content:
        case {"type": "template", "values": [code]}:
            return f"{code} is your verification code. For your security, do not share this code."
        case {"values": values}:
            return ", ".join(values)
    return f"[{content['type']}]"


def _body(text: Fields) -> str:
    if not (body := text.string("body", lines=True)):
        raise text.missing("body")
    return body


def _read_template(template: Fields) -> list[str]:
    """The values that its body is filled with."""
    if template.string("template_id") is None:
        template.required("name")
        language = template.object("language")
        if language is None:
            raise template.missing("language")
        language.required("code")
    values: list[str] = []
    for component in template.objects("components"):
        kind = component.choice("type", _COMPONENTS)
        if kind is None:
            raise component.missing("type")
        if kind == "button":
            _check_button(component)
        given = [_parameter(one) for one in component.objects("parameters")]
        values += given if kind == "body" else []
    return values


def _check_button(component: Fields) -> None:
    component.choice("sub_type", _BUTTONS)
    index = component.value("index")
    if index is None:
        raise component.missing("index", " for buttons")
    if not isinstance(index, int) or isinstance(index, bool):
        raise component.invalid("index", "an integer")


def _parameter(parameter: Fields) -> str:
    kind = parameter.choice("type", _PARAMETERS)
    text = parameter.string("text", lines=True)
    if kind == "text" and not text:
        raise parameter.missing("text")
    return text or f"[{kind}]"
