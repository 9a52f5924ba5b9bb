"""What this service posts to a ``callback_url``, for the OpenAPI document."""

from typing import Any

_HEADERS = {
    "webhook-id": "The same at each try: keep it, and do nothing for one that you have.",
    "webhook-timestamp": "Seconds since the epoch, of this try.",
    "webhook-signature": (
        "Space-separated v1,<Base64 HMAC-SHA256> and v1a,<Base64 Ed25519> over id.timestamp.body; "
        "two of each while master keys rotate."
    ),
}
WEBHOOKS: dict[str, Any] = {
    "callback": {
        "post": {
            "operationId": "callback",
            "summary": "A change of a verification or delivery, an opt-out, or an alert",
            "description": (
                "Standard Webhooks. Any 2xx within 15 s is success; else it is tried again for a day. The "
                "secret: countersign callbacks secret --app NAME"
            ),
            "tags": ["callbacks"],
            "security": [],
            "parameters": [
                {
                    "name": name,
                    "in": "header",
                    "required": True,
                    "description": description,
                    "schema": {"type": "string"},
                }
                for name, description in _HEADERS.items()
            ],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "required": ["type", "timestamp", "data"],
                            "properties": {
                                "type": {
                                    "type": "string",
                                    "pattern": "^(verification|delivery|opt_out|guard)[.][a-z_]+$",
                                    "examples": ["verification.approved", "delivery.reported"],
                                },
                                "timestamp": {"type": "string", "format": "date-time"},
                                "data": {
                                    "type": "object",
                                    "description": (
                                        "The audit event's fields. A recipient is a mask and a keyed "
                                        "digest; a code never stands in it."
                                    ),
                                    "properties": {
                                        name: {"type": "string"}
                                        for name in (
                                            "verification", "app", "purpose", "masked", "recipient",
                                            "country", "reason", "status", "actor",
                                        )
                                    },
                                },
                            },
                        }
                    }
                },
            },
            "responses": {"2XX": {"description": "Taken. The body is not read."}},
        }
    }
}  # fmt: skip
