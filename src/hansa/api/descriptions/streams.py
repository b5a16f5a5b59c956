"""The AsyncAPI document of what this marketplace sends: the stream of the league's events, and notifications.

AsyncAPI 3.0. Events of the league are server-sent events to whoever follows them; notifications of a hub are
posted to its listeners. The OpenAPI documents describe how a client begins to follow, or registers.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from hansa.api.descriptions.document import described_schemas
from hansa.api.events import CLOUD_EVENT, CloudEvent, EventDocument
from hansa.core.http import JSON

Part = dict[str, Any]

VERSION: Final = "3.0.0"
ABOUT: Final = (
    "What this marketplace sends by itself. Events of the league say that an origin published a version of an entity: a "
    "key and a hash, in one order for all members. Notifications of a hub say that an entity in this marketplace's store "
    "changed, and carry it."
)
STREAM: Final = "leagueEvents"
NOTIFICATIONS: Final = "hubNotifications"
WEBHOOKS: Final = "leagueWebhooks"
_POSITION: Final[Part] = {
    "type": "string",
    "description": "Position on the ledger, the `id` of the server-sent event. Send it as `Last-Event-ID` to go on there.",
    "pattern": "^[0-9]+$",
    "examples": ["4711"],
}
NOTIFICATION: Final[Part] = {
    "type": "object",
    "description": "A change of an entity in this marketplace's store.",
    "required": ["eventId", "eventTime", "eventType", "event"],
    "properties": {
        "eventId": {
            "type": "string",
            "description": "Identifier of the event; one that is sent twice has the same.",
        },
        "eventTime": {
            "type": "string",
            "format": "date-time",
            "description": "Time at which the change was committed in this marketplace.",
        },
        "eventType": {
            "type": "string",
            "description": "Name of the event, with a capital first letter.",
            "examples": ["ProductOfferingCreateEvent"],
        },
        "event": {
            "type": "object",
            "description": "The entity that changed, under the name of its resource; the OpenAPI document of the API has "
            "its schema.",
        },
    },
}


def streams_document(endpoint: str, version: str) -> Part:
    """The AsyncAPI document.

    Args:
        endpoint: Address of this marketplace, without a trailing slash.
        version: Of Hansa.
    """
    (event, cloud_event), components = described_schemas((EventDocument, CloudEvent))
    address = urlsplit(endpoint)
    return {
        "asyncapi": VERSION,
        "info": {"title": "Streams", "version": version, "description": ABOUT},
        "defaultContentType": JSON,
        "servers": {
            "marketplace": {
                "host": address.netloc,
                "protocol": address.scheme,
                "description": "This marketplace.",
            }
        },
        "channels": _channels(),
        "operations": {
            "sendLeagueEvents": _sends(
                STREAM, ("event", "cloudEvent"), "Send committed events to those who follow"
            ),
            "postLeagueEvents": _sends(
                WEBHOOKS, ("cloudEvent",), "Post committed events to registered listeners"
            ),
            "sendNotifications": _sends(
                NOTIFICATIONS, ("notification",), "Post changes to registered listeners"
            ),
        },
        "components": {
            "messages": {
                "event": _message(
                    "An event of the league", "Where it is, what it says, and the proof.", JSON, event
                ),
                "cloudEvent": _message(
                    "An event of the league as CloudEvent",
                    "Sent when the client accepts it.",
                    CLOUD_EVENT,
                    cloud_event,
                ),
                "notification": {
                    "title": "A notification",
                    "summary": "What happened to which entity.",
                    "contentType": JSON,
                    "payload": {"$ref": "#/components/schemas/Notification"},
                },
            },
            "schemas": {**components, "Notification": NOTIFICATION},
        },
    }


def _channels() -> Part:
    """Where messages are sent, by name."""
    return {
        STREAM: {
            "address": "/league/v1/events/stream",
            "title": "Events of the league",
            "description": "Server-sent events, one for each committed event, in the order of the ledger. The name of "
            "each (`event`) is that of the league's event. One without data says how far the ledger was searched. "
            "Comments keep the connection alive.",
            "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in ("event", "cloudEvent")},
        },
        WEBHOOKS: {
            "address": None,
            "title": "Events of the league, posted",
            "description": "Posted to the `callback` of each registration at `/league/v1/subscriptions`, in the order of "
            "the ledger, and signed. An answer that is no success has it sent again, or makes it a dead letter.",
            "messages": {"cloudEvent": {"$ref": "#/components/messages/cloudEvent"}},
        },
        NOTIFICATIONS: {
            "address": None,
            "title": "Notifications of hubs",
            "description": "Posted to the `callback` of each registration, in the order of the store's feed. An answer "
            "that is no success has it sent again.",
            "messages": {"notification": {"$ref": "#/components/messages/notification"}},
        },
    }


def _message(title: str, summary: str, media_type: str, payload: Part) -> Part:
    headers = {
        "type": "object",
        "description": "Fields of the server-sent event.",
        "properties": {"id": _POSITION},
    }
    return {
        "title": title,
        "summary": summary,
        "contentType": media_type,
        "headers": headers,
        "payload": payload,
    }


def _sends(channel: str, messages: tuple[str, ...], summary: str) -> Part:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages],
    }
