"""The paths of hubs, of the API and of its topics: registrations, their delivery, and the events sent."""

from __future__ import annotations

from typing import Any, Final, get_args

from hansa.business.hub.events import TOPIC
from hansa.business.models import Api
from hansa.business.openapi.operations import BEARER
from hansa.business.openapi.parts import (
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

SUBSCRIPTION: Final[Part] = {
    "type": "object",
    "description": "A registration at a hub.",
    "required": ["id"],
    "properties": {
        "id": _TEXT,
        "callback": {"type": "string", "format": "uri"},
        "query": _TEXT,
        "delivery": {
            "type": "object",
            "description": "The state of its delivery.",
            "properties": {
                "state": _STATES,
                "delivered": {**_COUNT, "description": "Events that the listener accepted."},
                "failures": {**_COUNT, "description": "Failed attempts since the last successful one."},
                "failingSince": {"type": "string", "format": "date-time"},
                "problem": {"type": "string", "description": "Why the last attempt failed."},
                "answered": {
                    "type": "integer",
                    "description": "HTTP status of the listener's last answer.",
                },
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
    "properties": {
        "callback": {
            "type": "string",
            "format": "uri",
            "maxLength": 2048,
            "description": "Address to which events are posted.",
        },
        "query": {
            "type": "string",
            "description": "Which events, in the query language of lists, as `eventType=ProductOfferingCreateEvent`; "
            "`fields` selects their attributes.",
        },
    },
}

DEAD_LETTER: Final[Part] = {
    "type": "object",
    "description": "An event that the listener did not accept.",
    "required": ["eventId", "eventType", "time", "attempts"],
    "properties": {
        "eventId": _TEXT,
        "eventType": _TEXT,
        "time": {"type": "string", "format": "date-time"},
        "attempts": _COUNT,
        "problem": _TEXT,
        "answered": {"type": "integer"},
        "isDue": {"type": "boolean", "description": "It is being sent again."},
    },
}

RESEND: Final[Part] = {
    "type": "object",
    "description": "Which dead letter is sent again; without `eventId`, all of them.",
    "properties": {"eventId": _TEXT},
    "additionalProperties": False,
}


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
                **error_references((400, 404, 406, 409, 413, 415, 501, *_USUAL)),
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
            "required": ["eventId", "eventTime", "event"],
            "properties": {
                "eventId": _TEXT,
                "eventTime": {"type": "string", "format": "date-time"},
                "eventType": {"type": "string", **({"examples": list(names)} if names else {})},
                "event": {
                    "type": "object",
                    "properties": {resource.name: self._schemas.response(resource) for resource in resources},
                },
            },
        }
        content = {JSON: {"schema": self._schemas.add("EventNotification", schema)}}
        return {
            "operationId": f"receive{place}Event",
            "summary": "Receive an event",
            "requestBody": {"required": True, "content": content},
            "responses": {
                "2XX": {
                    "description": "The listener accepted the event; after other answers it is sent again."
                }
            },
        }

    def _operation(self, name: str, summary: str, responses: dict[str, Part], **more: Any) -> Part:
        return {
            "operationId": name,
            "summary": summary,
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
        **({"headers": {name: header_reference(name) for name in headers}} if headers else {}),
        "content": {JSON: {"schema": schema}},
    }
