"""The schemas of hubs: registrations, dead letters, secrets, and the headers of notifications."""

from __future__ import annotations

from typing import Final, get_args

from hansa.business.openapi.parts import Part
from hansa.store.tables.subscriptions import State

_COUNT: Final[Part] = {"type": "integer", "minimum": 0}
_TEXT: Final[Part] = {"type": "string"}
STATES: Final[Part] = {"type": "string", "enum": list(get_args(State))}

EVENT_ID: Final[Part] = {
    **_TEXT,
    "description": "Identifier of the event; one that is sent twice has the same.",
    "examples": ["01985f0a-7c5d-7d5e-9a53-2f0d7a1f6c11"],
}
EVENT_TYPE: Final[Part] = {
    **_TEXT,
    "description": "Name of the event, with a capital first letter.",
    "examples": ["ProductOfferingCreateEvent"],
}
_ANSWERED: Final[Part] = {
    "type": "integer",
    "description": "HTTP status of the listener's last answer.",
    "examples": [503],
}
_PROBLEM: Final[Part] = {**_TEXT, "description": "Why the last attempt failed, for people to read."}
_CALLBACK: Final[Part] = {
    "type": "string",
    "format": "uri",
    "description": "Address to which events are posted: `http` or `https`, and not in a private network unless the "
    "operator allows that.",
    "examples": ["https://example.com/listener"],
}
_QUERY: Final[Part] = {
    **_TEXT,
    "description": "Which events, in the query language of lists; `fields` selects their attributes. Without it, all "
    "events of the API are sent.",
    "examples": ["eventType=ProductOfferingCreateEvent"],
}

SUBSCRIPTION: Final[Part] = {
    "type": "object",
    "description": "A registration at a hub: which events are posted to which address, and how that goes.",
    "required": ["id"],
    "properties": {
        "id": {
            **_TEXT,
            "description": "Identifier of the registration, made by this marketplace.",
            "examples": ["9d8c6f0a-7c5d-4d5e-9a53-2f0d7a1f6c11"],
        },
        "callback": _CALLBACK,
        "query": _QUERY,
        "delivery": {
            "type": "object",
            "description": "The state of its delivery, some seconds late.",
            "properties": {
                "state": {**STATES, "description": "Whether events arrive, fail, or are no longer sent."},
                "delivered": {**_COUNT, "description": "Events that the listener accepted."},
                "failures": {**_COUNT, "description": "Failed attempts since the last successful one."},
                "failingSince": {
                    "type": "string",
                    "format": "date-time",
                    "description": "Time of the first of these failed attempts.",
                },
                "problem": _PROBLEM,
                "answered": _ANSWERED,
                "pending": {**_COUNT, "description": "Changes that are still to be searched for its events."},
                "deadLetters": {**_COUNT, "description": "Events that were given up and can be sent again."},
                "deadLettersDropped": {
                    **_COUNT,
                    "description": "Events that were given up and are no longer available.",
                },
            },
        },
    },
}

SUBSCRIPTION_INPUT: Final[Part] = {
    "type": "object",
    "description": "Which events are posted to which address.",
    "required": ["callback"],
    "properties": {"callback": {**_CALLBACK, "maxLength": 2048}, "query": _QUERY},
}

DEAD_LETTER: Final[Part] = {
    "type": "object",
    "description": "An event that the listener did not accept.",
    "required": ["eventId", "eventType", "time", "attempts"],
    "properties": {
        "eventId": EVENT_ID,
        "eventType": EVENT_TYPE,
        "time": {"type": "string", "format": "date-time", "description": "Time at which it was given up."},
        "attempts": {**_COUNT, "description": "How often it was sent."},
        "problem": _PROBLEM,
        "answered": _ANSWERED,
        "isDue": {"type": "boolean", "description": "True while it is being sent again."},
    },
}

RESEND: Final[Part] = {
    "type": "object",
    "description": "Which dead letter is sent again; without `eventId`, all of them.",
    "properties": {"eventId": EVENT_ID},
    "additionalProperties": False,
}

SECRET: Final[Part] = {
    "type": "object",
    "description": "The secret with which notifications to a listener are signed (Standard Webhooks).",
    "properties": {
        "secret": {
            **_TEXT,
            "description": "The secret: `whsec_` and its bytes in base64. Registrations of earlier releases have none.",
            "pattern": "^whsec_[A-Za-z0-9+/=]+$",
        },
        "secretBeforeUntil": {
            "type": "string",
            "format": "date-time",
            "description": "Until when notifications carry a signature by the secret before this one, too.",
        },
    },
}

TEST_OUTCOME: Final[Part] = {
    "type": "object",
    "description": "What came of a test event.",
    "required": ["delivered"],
    "properties": {
        "delivered": {"type": "boolean", "description": "True when the listener accepted the event."},
        "problem": {
            **_TEXT,
            "description": "Code of what went wrong, for programs.",
            "examples": ["listener-timeout"],
        },
        "answered": _ANSWERED,
    },
}

SIGNATURE_HEADERS: Final[tuple[tuple[str, str, Part], ...]] = (
    (
        "webhook-id",
        "Identifier of the event; the same when the event is sent again.",
        {**_TEXT, "examples": ["9d8c6f0a-7c5d-4d5e-9a53-2f0d7a1f6c11"]},
    ),
    (
        "webhook-timestamp",
        "Time of this attempt, in seconds since 1970; a listener refuses what is minutes off.",
        {**_TEXT, "pattern": "^[0-9]+$", "examples": ["1769860800"]},
    ),
    (
        "webhook-signature",
        (
            "Signatures by the secrets that are good now, separated by a space: `v1,` and the HMAC-SHA256 of "
            "`<webhook-id>.<webhook-timestamp>.<body>` in base64 (Standard Webhooks)."
        ),
        {
            **_TEXT,
            "pattern": "^v1,[A-Za-z0-9+/=]+( v1,[A-Za-z0-9+/=]+)*$",
            "examples": ["v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="],
        },
    ),
)
"""Name, meaning and schema of the headers by which a listener verifies a notification."""
