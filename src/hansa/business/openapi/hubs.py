"""The paths of hubs, of the API and of its topics: registrations, their delivery, and the events sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

from hansa.business.hub.events import TOPIC
from hansa.business.models import Api, Resource
from hansa.business.openapi.operations import BEARER
from hansa.business.openapi.parts import (
    EVERYWHERE,
    Part,
    error_references,
    header_reference,
    parameter_reference,
    path_parameter,
)
from hansa.business.openapi.schemas import Schemas
from hansa.core.http import JSON
from hansa.store.tables.subscriptions import State

_COUNT: Final[Part] = {"type": "integer", "minimum": 0}
_TEXT: Final[Part] = {"type": "string"}
_STATES: Final[Part] = {"type": "string", "enum": list(get_args(State))}
_USUAL: Final = (401, 429, 500, 503)
_PAGED: Final = ("offset", "limit")

_EVENT_ID: Final[Part] = {
    **_TEXT,
    "description": "Identifier of the event; one that is sent twice has the same.",
    "examples": ["01985f0a-7c5d-7d5e-9a53-2f0d7a1f6c11"],
}
_EVENT_TYPE: Final[Part] = {
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
                "state": {**_STATES, "description": "Whether events arrive, fail, or are no longer sent."},
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
        "eventId": _EVENT_ID,
        "eventType": _EVENT_TYPE,
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
    "properties": {"eventId": _EVENT_ID},
    "additionalProperties": False,
}

OPERATION_TEXTS: Final[Mapping[str, str]] = {
    "list": "Returns the caller's registrations; an operator sees those of all.",
    "register": "Registers a listener for events. The role of a reader does not suffice. The same callback with the "
    "same query can be registered once.",
    "retrieve": "Returns a registration with the state of its delivery.",
    "unregister": "Ends a registration: nothing more is sent, and its dead letters are dropped.",
    "listDeadLetters": "Returns the events that were given up and can be sent again.",
    "resendDeadLetters": "Has one dead letter, or all of them, sent again in the order of the feed.",
    "resumeListener": "Has events sent again to a listener that was paused, from where it stopped.",
}
"""What an operation does, by its identifier or the beginning of that."""


class HubPaths:
    """Describes the hubs of one API."""

    def __init__(self, api: Api, schemas: Schemas) -> None:
        self._api = api
        self._schemas = schemas
        self._one = schemas.add("EventSubscription", SUBSCRIPTION)

    def paths(self) -> dict[str, Part]:
        """All of them."""
        item = [path_parameter("id", "Identifier of the registration.")]
        paths = self._registrations("/hub", [], "")
        paths["/hub/{id}/deadLetter"] = {"parameters": item, "get": self._dead_letters()}
        paths["/hub/{id}/resend"] = {"parameters": item, "post": self._resend()}
        paths["/hub/{id}/resume"] = {"parameters": item, "post": self._resume()}
        if any(resource.path == TOPIC for resource in self._api.resources):
            topic = [path_parameter("topicId", "Identifier of the topic.")]
            paths |= self._registrations(f"/{TOPIC}/{{topicId}}/hub", topic, "Topic")
        return paths

    def _registrations(self, path: str, parents: list[Part], place: str) -> dict[str, Part]:
        own = path_parameter("id", "Identifier of the registration.")
        collection = {"get": self._list(place), "post": self._register(place)}
        item = {"get": self._retrieve(place), "delete": self._end(place)}
        return {
            path: {**({"parameters": parents} if parents else {}), **collection},
            f"{path}/{{id}}": {"parameters": [*parents, own], **item},
        }

    def _list(self, place: str) -> Part:
        states = {
            "name": "state",
            "in": "query",
            "description": "Registrations whose delivery is in this state.",
            "schema": _STATES,
        }
        page = {"type": "array", "items": self._one}
        return self._operation(
            f"list{place}Listeners",
            "List registrations",
            {
                "200": _response("Registrations of this caller; an operator sees all.", page, *_COUNTED),
                "206": _response("The requested part of the list.", page, *_COUNTED),
                **error_references((400, 404, 406, 414, *_USUAL)),
            },
            parameters=[*map(parameter_reference, ("fields", *_PAGED)), states],
        )

    def _register(self, place: str) -> Part:
        schema = self._schemas.add("EventSubscriptionInput", SUBSCRIPTION_INPUT)
        return self._operation(
            f"register{place}Listener",
            "Register a listener",
            {
                "201": _response("The registration.", self._one, "Location"),
                **error_references((400, 403, 404, 406, 409, 413, 415, 501, *_USUAL)),
            },
            requestBody={"required": True, "content": {JSON: {"schema": schema, "example": _EXAMPLE}}},
            callbacks={"event": {"{$request.body#/callback}": {"post": self._event(place)}}},
        )

    def _retrieve(self, place: str) -> Part:
        return self._operation(
            f"retrieve{place}Listener",
            "Read a registration",
            {
                "200": _response("The registration.", self._one),
                **error_references((400, 404, 406, 414, *_USUAL)),
            },
            parameters=[parameter_reference("fields")],
        )

    def _end(self, place: str) -> Part:
        removed = {"204": {"description": "The registration has ended."}}
        return self._operation(
            f"unregister{place}Listener",
            "End a registration",
            {**removed, **error_references((404, *_USUAL))},
        )

    def _dead_letters(self) -> Part:
        page = {"type": "array", "items": self._schemas.add("DeadLetter", DEAD_LETTER)}
        return self._operation(
            "listDeadLetters",
            "List events that the listener did not accept, oldest first",
            {
                "200": _response("Dead letters.", page, *_COUNTED),
                "206": _response("The requested part of the list.", page, *_COUNTED),
                **error_references((400, 404, 406, 414, *_USUAL)),
            },
            parameters=[*map(parameter_reference, _PAGED)],
        )

    def _resend(self) -> Part:
        return self._operation(
            "resendDeadLetters",
            "Send dead letters again",
            {
                "202": _response("They will be sent again; the current registration.", self._one),
                **error_references((400, 404, 406, 413, 415, *_USUAL)),
            },
            requestBody={"required": True, "content": {JSON: {"schema": RESEND, "example": {}}}},
        )

    def _resume(self) -> Part:
        return self._operation(
            "resumeListener",
            "Serve a paused listener again",
            {
                "200": _response("The current registration.", self._one),
                **error_references((404, 406, *_USUAL)),
            },
        )

    def _event(self, place: str) -> Part:
        """The request that a listener receives."""
        resources = [resource for resource in self._api.resources if resource.events]
        names = dict.fromkeys(event for resource in resources for event in resource.events)
        schema = {
            "type": "object",
            "description": "An event as it is posted to listeners: what happened, when, and the entity.",
            "required": ["eventId", "eventTime", "event"],
            "properties": {
                "eventId": _EVENT_ID,
                "eventTime": {
                    "type": "string",
                    "format": "date-time",
                    "description": "Time at which the change was committed in this marketplace.",
                },
                "eventType": {**_EVENT_TYPE, **({"examples": list(names)} if names else {})},
                "event": {
                    "type": "object",
                    "description": "The entity that changed, under the name of its resource.",
                    "properties": {resource.name: self._payload(resource) for resource in resources},
                },
            },
        }
        content = {JSON: {"schema": self._schemas.add("EventNotification", schema)}}
        return {
            "operationId": f"receive{place}Event",
            "summary": "Receive an event",
            "description": "What this marketplace posts to the callback. An event may be sent twice, with the same "
            "`eventId`; the answer decides whether it is sent again.",
            "requestBody": {"required": True, "content": content},
            "responses": {
                "2XX": {
                    "description": "The listener accepted the event; after other answers it is sent again."
                }
            },
        }

    def _payload(self, resource: Resource) -> Part:
        text = (
            "The entity as it is when the event is prepared; of a deleted one only `id`, `href` and `@type`."
        )
        return {**self._schemas.response(resource), "description": text}

    def _operation(self, name: str, summary: str, responses: dict[str, Part], **more: Any) -> Part:
        return {
            "operationId": name,
            "summary": summary,
            "description": OPERATION_TEXTS[max(filter(name.startswith, OPERATION_TEXTS), key=len)],
            "tags": ["hub"],
            "security": [BEARER],
            **more,
            "responses": dict(sorted(responses.items())),
        }


_COUNTED: Final = ("X-Total-Count", "X-Result-Count")
_EXAMPLE: Final = {"callback": "https://example.com/listener", "query": ""}


def _response(text: str, schema: Part, *headers: str) -> Part:
    return {
        "description": text,
        "headers": {name: header_reference(name) for name in (*headers, *EVERYWHERE)},
        "content": {JSON: {"schema": schema}},
    }
