"""Hubs: where listeners register for the events of an API, or of a topic (TMF630 Part 1, 10.1; TMF688).

A registration belongs to the subject of the token that made it, which must be one that may write: what is
sent on its behalf costs this marketplace, and goes to an address of the caller's choice. An operator sees and
ends all of them. Beyond what the documents define, each one reports the state of its delivery, has a list of
dead letters, and accepts two requests: to send dead letters again, and to resume a listener that was paused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, get_args

import msgspec

from hansa.business.context import Context
from hansa.business.http.messages import CONTENT_TYPE, JSON_TYPES, Request, Response
from hansa.business.http.routing import Route, route
from hansa.business.http.shared_headers import Header
from hansa.business.hub import registrations
from hansa.business.hub.events import TOPIC
from hansa.business.hub.feed import VisibleEvents
from hansa.business.hub.subscription_filter import api_filter, topic_filter
from hansa.business.hub.test_events import TestEvents
from hansa.business.models import Api
from hansa.business.query import pairs
from hansa.business.query.paging import paging
from hansa.business.query.selecting import selection_of
from hansa.business.representation import Selection, select
from hansa.business.validation.violations import Violation, refuse
from hansa.core.access import OPERATOR, Caller
from hansa.core.errors import Code, Refused
from hansa.core.known_words import check_known
from hansa.core.limits import Limits
from hansa.core.refusals import all_refusals
from hansa.store import Entity
from hansa.store.tables import subscriptions
from hansa.store.tables.subscriptions import DeadLetter, State, Subscription


class HubHandler:
    """Handles requests for the registrations at the hub of one API, and at those of its topics."""

    def __init__(self, api: Api, context: Context) -> None:
        self._api = api
        self._context = context
        self._store = context.store
        self._tests = TestEvents(context.to_listeners, context.clock, context.entropy, context.limits)
        self._visible_events = VisibleEvents(context)
        self._topics = next((one.collection for one in api.resources if one.path == TOPIC), None)

    @property
    def routes(self) -> Mapping[str, Route]:
        """Routes by path; `{…}` stands for the identifier of the topic, or of the registration."""
        hub = self._api.base_path + "hub"
        registrations = route(
            {"GET": self.list, "POST": self.register}, {"GET": self.retrieve, "DELETE": self.end}
        )
        routes = {
            hub: registrations,
            f"{hub}/{{id}}/deadLetter": route({"GET": self.list_dead_letters}, {}),
            f"{hub}/{{id}}/resend": route({"POST": self.resend}, {}),
            f"{hub}/{{id}}/resume": route({"POST": self.resume}, {}),
            f"{hub}/{{id}}/secret": route({"GET": self.retrieve_secret, "POST": self.exchange_secret}, {}),
            f"{hub}/{{id}}/test": route({"POST": self.send_test}, {}),
        }
        if self._topics is not None:
            routes[f"{self._api.base_path}{TOPIC}/{{topicId}}/hub"] = registrations
        return routes

    # -- registrations ---------------------------------------------------------------------------------------

    async def register(self, request: Request, _: str) -> Response:
        """POST: 201, 400, 401, 403, 404, 409, 413, 415, or 429 when there are too many registrations."""
        caller = self._writer(request)
        request.check_no_parameters()
        request.accept_json()
        body = await request.json(JSON_TYPES)
        topic = await self._topic(request, caller)
        callback, query = self._checked(body, request.limits, is_topic=topic is not None)
        added = await registrations.register(
            self._store,
            caller,
            self._context.entropy,
            request.limits,
            api=self._api.id,
            callback=callback,
            query=query,
            topic=topic.id if topic is not None else "",
        )
        location = (b"location", f"{self._context.endpoint}{request.path}/{added.id}".encode())
        return Response(201, msgspec.json.encode(_registration_body(added)), (CONTENT_TYPE, location))

    async def list(self, request: Request, _: str) -> Response:
        """GET of the collection: 200, 206, 400, 401 or 404."""
        caller = self._subscriber(request)
        request.accept_json()
        topic = await self._topic(request, caller)
        parameters = _parameters(request, {"offset", "limit", "state", "fields"})
        page = paging(parameters.get("offset"), parameters.get("limit"), None, request.limits)
        matches, total = await subscriptions.page(
            self._store,
            self._api.id,
            topic=topic.id if topic is not None else "",
            subscriber=None if OPERATOR in caller.roles else caller.subject,
            organization=caller.organization or "",
            state=_state(parameters.get("state")),
            offset=page.offset,
            limit=page.limit,
        )
        selection = selection_of(parameters.get("fields", []), request.limits)
        bodies = await self._bodies(matches, selection)
        return _list_response(bodies, total, is_paged=page.is_requested)

    async def retrieve(self, request: Request, subscription_id: str) -> Response:
        """GET of one registration: 200, 400, 401 or 404."""
        request.accept_json()
        parameters = _parameters(request, {"fields"})
        subscription = await self._at_this_hub(request, subscription_id)
        selection = selection_of(parameters.get("fields", []), request.limits)
        (body,) = await self._bodies([subscription], selection)
        return Response(200, msgspec.json.encode(body), (CONTENT_TYPE,))

    async def end(self, request: Request, subscription_id: str) -> Response:
        """DELETE of one registration: 204, 401 or 404."""
        request.check_no_parameters()
        await self._at_this_hub(request, subscription_id)
        async with self._store.transaction() as tx:
            if not await subscriptions.remove(tx, subscription_id):
                raise _not_found(subscription_id)
        return Response(204)

    # -- delivery --------------------------------------------------------------------------------------------

    async def list_dead_letters(self, request: Request, _: str) -> Response:
        """GET of the dead letters of a registration, oldest first: 200, 206, 400, 401 or 404."""
        request.accept_json()
        subscription = await self._visible(request, request.parent_id or "")
        parameters = _parameters(request, {"offset", "limit"})
        page = paging(parameters.get("offset"), parameters.get("limit"), None, request.limits)
        dead_letters, total = await subscriptions.dead_letters(
            self._store, subscription.id, offset=page.offset, limit=page.limit
        )
        return _list_response(
            [_dead_letter_body(one) for one in dead_letters], total, is_paged=page.is_requested
        )

    async def resend(self, request: Request, _: str) -> Response:
        """POST: send dead letters again, all or that of the body's `eventId`: 202, 400, 401, 403 or 404."""
        self._writer(request)
        request.accept_json()
        request.check_no_parameters()
        subscription = await self._visible(request, request.parent_id or "")
        has_body = (
            b"transfer-encoding" in request.headers or request.headers.get(b"content-length", b"0") != b"0"
        )
        body = await request.json(JSON_TYPES) if has_body else {}
        event_id = body.get("eventId")
        unknown = [
            Violation(name, "is unknown; a request to send again has only eventId")
            for name in body
            if name != "eventId"
        ]
        if event_id is not None and type(event_id) is not str:
            unknown.append(Violation("eventId", "must be a string", event_id))
        refuse(unknown)
        await registrations.resend(self._store, subscription, event_id)
        return await self._current(202, subscription)

    async def resume(self, request: Request, _: str) -> Response:
        """POST: a paused listener is served again, from where it stopped: 200, 401, 403 or 404.

        Whoever registered it gives it the rights of the credential of this request.
        """
        caller = self._writer(request)
        request.accept_json()
        request.check_no_parameters()
        subscription = await self._visible(request, request.parent_id or "")
        async with self._store.transaction() as tx:
            is_own = subscription.subscriber == caller.subject
            rights = registrations.rights_of(caller) if is_own and subscription.organization else ""
            await subscriptions.resume(tx, subscription.id, rights)
        return await self._current(200, subscription)

    async def retrieve_secret(self, request: Request, _: str) -> Response:
        """GET of the secret with which notifications are signed: 200, 401, 403 or 404."""
        request.accept_json()
        request.check_no_parameters()
        self._writer(request)
        return _secret_response(await self._visible(request, request.parent_id or ""))

    async def exchange_secret(self, request: Request, _: str) -> Response:
        """POST: another secret; the present one is good for a while: 200, 401, 403 or 404."""
        request.accept_json()
        request.check_no_parameters()
        self._writer(request)
        subscription = await self._visible(request, request.parent_id or "")
        await registrations.exchange_secret(
            self._store, subscription, self._context.clock, self._context.entropy, request.limits
        )
        return _secret_response(await self._visible(request, subscription.id))

    async def send_test(self, request: Request, _: str) -> Response:
        """POST: send a test event now, and say what the listener answered: 200, 401, 403, 404 or 429."""
        request.accept_json()
        request.check_no_parameters()
        self._writer(request)
        subscription = await self._visible(request, request.parent_id or "")
        attempt = await self._tests.send(subscription)
        outcome = {"problem": attempt.problem, "answered": attempt.answered}
        body = {"delivered": attempt.problem is None, **{k: v for k, v in outcome.items() if v is not None}}
        return Response(200, msgspec.json.encode(body), (CONTENT_TYPE,))

    async def _current(self, status: int, subscription: Subscription) -> Response:
        current = await subscriptions.get(self._store, subscription.id)
        if current is None:
            raise _not_found(subscription.id)
        (body,) = await self._bodies([current], None)
        return Response(status, msgspec.json.encode(body), (CONTENT_TYPE,))

    def _checked(self, body: dict[str, Any], limits: Limits, *, is_topic: bool) -> tuple[str, str]:
        """Callback and query of the body of a registration; all that is wrong is reported at once."""
        query = body.get("query") or ""
        allow_private_networks = self._context.policies.allow_private_networks

        def read() -> tuple[str, str]:
            return _callback_and_query(body, limits, allow_private_networks=allow_private_networks)

        def compile_query() -> None:
            if type(query) is not str:
                return  # which is refused with the rest of the body
            if is_topic:
                topic_filter(query, None, self._api, limits)
            else:
                api_filter(query, self._api, limits)

        try:
            result = read()
            compile_query()
        except Refused as first:
            raise all_refusals(first, (read, compile_query)) from None
        return result

    # -- who and what ----------------------------------------------------------------------------------------

    def _subscriber(self, request: Request) -> Caller:
        caller = self._context.authenticate(request.headers)
        if not caller.is_authenticated:
            raise Refused(Code.UNAUTHENTICATED, "The hub needs a bearer token.")
        if not caller.may_read and caller.organization is None:
            raise Refused(Code.FORBIDDEN, "The roles of this token give no right to read registrations.")
        return caller

    def _writer(self, request: Request) -> Caller:
        """The caller, who may register listeners and have events sent to them."""
        caller = self._subscriber(request)
        registrations.check_subscriber(caller)
        return caller

    async def _topic(self, request: Request, caller: Caller) -> Entity | None:
        """The topic at whose hub a request is; None at the hub of the API."""
        if request.parent_id is None:
            return None
        topic = await self._store.entity(request.parent_id)
        if topic is not None and caller.organization is not None:
            is_seen = await self._visible_events.may_see_below(caller, topic)
            topic = topic if is_seen else None
        if topic is None or topic.type != self._topics:
            raise Refused(Code.NOT_FOUND, f"There is no {TOPIC} {request.parent_id[:300]!r}.")
        return topic

    async def _visible(self, request: Request, subscription_id: str) -> Subscription:
        """A registration at this API, or at one of its topics, that the caller may see."""
        caller = self._subscriber(request)
        subscription = await subscriptions.get(self._store, subscription_id)
        if not registrations.is_visible(subscription, self._api.id, caller):
            raise _not_found(subscription_id)
        return subscription

    async def _at_this_hub(self, request: Request, subscription_id: str) -> Subscription:
        """A registration at the hub that the path names."""
        subscription = await self._visible(request, subscription_id)
        if subscription.topic != (request.parent_id or ""):
            raise _not_found(subscription_id)
        return subscription

    async def _bodies(
        self, matches: Sequence[Subscription], selection: Selection | None
    ) -> tuple[dict[str, Any], ...]:
        """Registrations with the state of their delivery; of that, the selected attributes."""
        counts = await subscriptions.dead_letter_counts(self._store, [one.id for one in matches])
        head = await self._store.last_change()
        bodies = tuple([_body(one, counts[one.id], head) for one in matches])
        if selection is None:
            return bodies
        return tuple([{"id": body["id"], **select(body, selection)} for body in bodies])


def _body(subscription: Subscription, dead_letters: int, head: int) -> dict[str, Any]:
    """A registration with the state of its delivery, when that is the last row of the feed."""
    pending: int | None = max(0, head - subscription.position) if subscription.is_behind else 0
    if subscription.organization:
        pending = None  # it counts what others do, too
    delivery = {
        "state": subscription.state,
        "delivered": subscription.delivered,
        "failures": subscription.failures,
        "failingSince": subscription.failing_since,
        "problem": subscription.problem,
        "answered": subscription.answered,
        "pending": pending,
        "deadLetters": dead_letters,
        "deadLettersDropped": subscription.dead_letters_dropped,
    }
    return {
        **_registration_body(subscription),
        "delivery": {name: value for name, value in delivery.items() if value is not None},
    }


def _parameters(request: Request, known: set[str]) -> dict[str, list[str]]:
    """The query parameters of a request, which may have the known names only.

    Raises:
        Refused: `Code.INVALID`, with everything that is wrong with names and values.
    """
    parameters: dict[str, list[str]] = {}
    for name, value in pairs(request.query_string, request.limits):
        parameters.setdefault(name, []).append(value)
    readers: dict[str, Callable[[list[str]], object]] = {
        "state": _state,
        "offset": lambda values: paging(values, None, None, request.limits),
        "limit": lambda values: paging(None, values, None, request.limits),
        "fields": lambda values: selection_of(values, request.limits),
    }
    checks: list[Callable[[], object]] = [
        partial(readers[name], values) if name in known else partial(check_known, (name,), known, "parameter")
        for name, values in parameters.items()
    ]
    for check in checks:
        try:
            check()
        except Refused as first:
            raise all_refusals(first, checks) from None
    return parameters


def _state(values: list[str] | None) -> State | None:
    if values is None:
        return None
    states: tuple[State, ...] = get_args(State)
    state = next((one for one in states if values == [one]), None)
    if state is None:
        raise Refused(Code.INVALID, f"state must be one of {', '.join(states)}.")
    return state


def _list_response(bodies: Sequence[dict[str, Any]], total: int, *, is_paged: bool) -> Response:
    headers: tuple[Header, ...] = (
        CONTENT_TYPE,
        (b"x-total-count", str(total).encode()),
        (b"x-result-count", str(len(bodies)).encode()),
    )
    status = 206 if is_paged and 0 < len(bodies) < total else 200
    return Response(status, msgspec.json.encode(bodies), headers)


def _callback_and_query(
    body: dict[str, Any], limits: Limits, *, allow_private_networks: bool
) -> tuple[str, str]:
    """Callback and query of the body of a registration, checked."""
    callback, query = body.get("callback"), body.get("query")
    violations = [
        Violation(name, "a registration has a callback and a query")
        for name in body
        if name not in {"id", "callback", "query"} and not name.startswith("@")
    ]
    if query is not None and type(query) is not str:
        violations.append(Violation("query", "must be a string", query))
    elif query is not None and len(query) > limits.query_length_max_chars:
        violations.append(Violation("query", f"must have at most {limits.query_length_max_chars} characters"))
    if callback is None:
        violations.append(Violation("callback", "is required"))
    else:
        problem = registrations.callback_problem(callback, allow_private_networks=allow_private_networks)
        if problem is not None:
            violations.append(Violation("callback", problem, callback))
    refuse(violations)
    return str(callback), query or ""


def _secret_response(subscription: Subscription) -> Response:
    body = {"secret": subscription.secret} if subscription.secret else {}
    if subscription.secret_before and subscription.secret_before_until:
        body["secretBeforeUntil"] = subscription.secret_before_until
    return Response(200, msgspec.json.encode(body), (CONTENT_TYPE,))


def _registration_body(subscription: Subscription) -> dict[str, Any]:
    """A registration as the documents define it."""
    body = {"id": subscription.id, "callback": subscription.callback}
    return {**body, "query": subscription.query} if subscription.query else body


def _dead_letter_body(letter: DeadLetter) -> dict[str, Any]:
    body = {
        "eventId": letter.event_id,
        "eventType": letter.event_type,
        "time": letter.time,
        "attempts": letter.attempts,
        "problem": letter.problem,
        "answered": letter.answered,
        "isDue": letter.is_due,
    }
    return {name: value for name, value in body.items() if value is not None}


def _not_found(subscription_id: str) -> Refused:
    return Refused(Code.NOT_FOUND, f"There is no registration {subscription_id[:300]!r}.")
