"""The paths of hubs, of the API and of its topics: registrations, their delivery, and the events sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hansa.business.hub.events import TOPIC
from hansa.business.models import Api, Resource
from hansa.business.openapi.hub_schemas import (
    DEAD_LETTER,
    EVENT_ID,
    EVENT_TYPE,
    RESEND,
    SECRET,
    SIGNATURE_HEADERS,
    STATES,
    SUBSCRIPTION,
    SUBSCRIPTION_INPUT,
    TEST_OUTCOME,
)
from hansa.business.openapi.operations import BEARER
from hansa.business.openapi.parts import (
    Part,
    error_references,
    json_response,
    parameter_reference,
    path_parameter,
    response,
)
from hansa.business.openapi.schemas import Schemas
from hansa.core.http import JSON

_USUAL: Final = (401, 403, 429, 500, 503)
_PAGED: Final = ("offset", "limit")
OPERATION_TEXTS: Final[Mapping[str, str]] = {
    "list": "Returns the caller's registrations; an operator sees those of all.",
    "register": "Registers a listener for events. The role of a reader does not suffice. The same callback with the "
    "same query can be registered once.",
    "retrieve": "Returns a registration with the state of its delivery.",
    "unregister": "Ends a registration: nothing more is sent, and its dead letters are dropped.",
    "listDeadLetters": "Returns the events that were given up and can be sent again.",
    "resendDeadLetters": "Has one dead letter, or all of them, sent again in the order of the feed.",
    "resumeListener": "Has events sent again to a listener that was paused, from where it stopped.",
    "retrieveListenerSecret": "Returns the secret with which notifications to this listener are signed.",
    "exchangeListenerSecret": "Makes another secret. Until `secretBeforeUntil` notifications carry a signature by each of "
    "the two, so that the listener can change over.",
    "sendTestEvent": "Sends a signed event of the type `HubTestEvent` at once, and returns what the listener answered. It "
    "changes nothing of the delivery.",
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
        paths["/hub/{id}/secret"] = {
            "parameters": item,
            "get": self._secret("retrieveListenerSecret", "Read the secret of notifications"),
            "post": self._secret("exchangeListenerSecret", "Exchange the secret of notifications"),
        }
        paths["/hub/{id}/test"] = {"parameters": item, "post": self._test()}
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
            "schema": STATES,
        }
        page = {"type": "array", "items": self._one}
        return self._operation(
            f"list{place}Listeners",
            "List registrations",
            {
                "200": json_response("Registrations of this caller; an operator sees all.", page, _COUNTED),
                "206": json_response("The requested part of the list.", page, _COUNTED),
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
                "201": json_response("The registration.", self._one, ("Location",)),
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
                "200": json_response("The registration.", self._one),
                **error_references((400, 404, 406, 414, *_USUAL)),
            },
            parameters=[parameter_reference("fields")],
        )

    def _end(self, place: str) -> Part:
        removed = {"204": response("The registration has ended.", None)}
        return self._operation(
            f"unregister{place}Listener",
            "End a registration",
            {**removed, **error_references((400, 404, *_USUAL))},
        )

    def _dead_letters(self) -> Part:
        page = {"type": "array", "items": self._schemas.add("DeadLetter", DEAD_LETTER)}
        return self._operation(
            "listDeadLetters",
            "List events that the listener did not accept, oldest first",
            {
                "200": json_response("Dead letters.", page, _COUNTED),
                "206": json_response("The requested part of the list.", page, _COUNTED),
                **error_references((400, 404, 406, 414, *_USUAL)),
            },
            parameters=[*map(parameter_reference, _PAGED)],
        )

    def _resend(self) -> Part:
        return self._operation(
            "resendDeadLetters",
            "Send dead letters again",
            {
                "202": json_response("They will be sent again; the current registration.", self._one),
                **error_references((400, 404, 406, 413, 415, *_USUAL)),
            },
            requestBody={"required": False, "content": {JSON: {"schema": RESEND, "example": {}}}},
        )

    def _resume(self) -> Part:
        return self._operation(
            "resumeListener",
            "Serve a paused listener again",
            {
                "200": json_response("The current registration.", self._one),
                **error_references((400, 404, 406, *_USUAL)),
            },
        )

    def _secret(self, name: str, summary: str) -> Part:
        responses = {
            "200": json_response("The secret that is good now.", self._schemas.add("ListenerSecret", SECRET)),
            **error_references((400, 404, 406, *_USUAL)),
        }
        return self._operation(name, summary, responses)

    def _test(self) -> Part:
        outcome = self._schemas.add("TestOutcome", TEST_OUTCOME)
        return self._operation(
            "sendTestEvent",
            "Send a test event",
            {
                "200": json_response("What the listener answered.", outcome),
                **error_references((400, 404, 406, *_USUAL)),
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
                "eventId": EVENT_ID,
                "eventTime": {
                    "type": "string",
                    "format": "date-time",
                    "description": "Time at which the change was committed in this marketplace.",
                },
                "eventType": {**EVENT_TYPE, **({"examples": list(names)} if names else {})},
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
            "parameters": [
                {"name": name, "in": "header", "description": text, "schema": schema}
                for name, text, schema in SIGNATURE_HEADERS
            ],
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
