"""`/league/v1/subscriptions`: who is sent which events of the league.

    GET    /league/v1/subscriptions?state=…&offset=…&limit=…  the caller's; an operator's are all
    POST   /league/v1/subscriptions                           {"callback": …, "query": …, "after": …}
    GET    /league/v1/subscriptions/{id}                      one, with the state of its delivery
    DELETE /league/v1/subscriptions/{id}
    GET    /league/v1/subscriptions/{id}/dead-letters
    POST   /league/v1/subscriptions/{id}/resend               {"event_id": …}, or {} for all dead letters
    POST   /league/v1/subscriptions/{id}/resume
    GET    /league/v1/subscriptions/{id}/secret · POST        the secret · another one
    POST   /league/v1/subscriptions/{id}/test                 sends a test event now

The query has the parameters of `/league/v1/events` that select events. A registration belongs to the subject
of the token that made it, which must be one that may write: what is sent on its behalf costs this
marketplace, and goes to an address of the caller's choice. An operator sees and ends all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hansa.api.bodies import json_body
from hansa.api.callers import require_token
from hansa.api.events import CLOUD_EVENT, event_filter, selecting
from hansa.api.parameters import POSITION_MAX, Parameters, Reader, known_types, page_size, position
from hansa.api.responses import json_response
from hansa.business.hub.registrations import (
    callback_problem,
    check_writer,
    exchange_secret,
    is_visible,
    register,
    resend,
)
from hansa.business.hub.test_events import EVENT_TYPE, TestEvents
from hansa.core.access import OPERATOR, Authenticate, Caller
from hansa.core.bounded_json import UNREADABLE
from hansa.core.clock import Clock
from hansa.core.errors import Code, Refused
from hansa.core.http import JSON, HttpClient
from hansa.core.identifiers import Entropy
from hansa.core.limits import Limits
from hansa.pubsub.bus import BusReads
from hansa.pubsub.ledger_records import EventFilter
from hansa.replication.registry import MemberRegistry
from hansa.store import Store
from hansa.store.tables import subscriptions
from hansa.store.tables.subscriptions import LEAGUE, STATES, DeadLetter, State, Subscription

BODY_SIZE_MAX_BYTES: Final = 16_384
SUBSCRIPTIONS_PATH: Final = "/league/v1/subscriptions"
_PAGES: Final[dict[str, Reader]] = {"offset": position, "limit": page_size}


class NewSubscription(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A registration that is requested."""

    callback: str
    """Address that events are posted to."""
    query: str = ""
    """Parameters of `/league/v1/events` that select events, as `type=productOfferingCreateEvent&region=EU`;
    empty for all."""
    after: int | None = None
    """Position after which events are sent; absent: new ones."""


class ResendRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which dead letters are sent again."""

    event_id: str | None = None
    """`webhook-id` of one; absent: all."""


class SubscriptionDelivery(msgspec.Struct, frozen=True, omit_defaults=True):
    """The state of a delivery, some seconds late."""

    state: State
    """`active`, `failing` or `paused`."""
    position: int
    """On the ledger: everything up to it was delivered, or selected by no query."""
    delivered: int
    """Events that the listener accepted."""
    dead_letters: int
    """Events that it refused, and that can be sent again."""
    dead_letters_dropped: int = 0
    """Those that were removed to make room for newer ones."""
    failures: int = 0
    """Failed attempts since the last that succeeded."""
    failing_since: str | None = None
    """When the first of them was."""
    problem: str | None = None
    """Code of the failure of the last attempt."""
    answered: int | None = None
    """HTTP status of its answer, if there was one."""


class SubscriptionReport(msgspec.Struct, frozen=True):
    """A registration."""

    id: str
    """Its identifier."""
    callback: str
    """Address that events are posted to."""
    query: str
    """What selects events; empty for all."""
    delivery: SubscriptionDelivery
    """What became of them."""


class SubscriptionPage(msgspec.Struct, frozen=True):
    """Registrations, oldest first."""

    subscriptions: tuple[SubscriptionReport, ...]
    """Those of the page."""
    total: int
    """How many there are in all."""


class DeadLetterReport(msgspec.Struct, frozen=True):
    """An event that a listener refused."""

    event_id: str
    """Its `webhook-id`."""
    event_type: str
    """Name of the event."""
    time: str
    """When delivery was given up."""
    attempts: int
    """How often it was sent."""
    problem: str
    """Code of the failure of the last attempt."""
    answered: int | None
    """HTTP status of the last answer."""
    is_due: bool
    """Whether it is to be sent again."""


class DeadLetterPage(msgspec.Struct, frozen=True):
    """Events that a listener refused, oldest first."""

    dead_letters: tuple[DeadLetterReport, ...]
    """Those of the page."""
    total: int
    """How many there are in all."""


class SubscriptionSecret(msgspec.Struct, frozen=True, omit_defaults=True):
    """With which events are signed (Standard Webhooks)."""

    secret: str
    """The present one."""
    secret_before_until: str | None = None
    """Until when the one before is used too."""


class TestOutcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a test event."""

    __test__ = False

    delivered: bool
    """Whether the listener accepted it."""
    problem: str | None = None
    """Code of the failure."""
    answered: int | None = None
    """HTTP status of the answer."""


async def subscription_filter(
    query: str, types: Collection[str], registry: MemberRegistry, limits: Limits
) -> EventFilter:
    """The filter of a registration's query; `types` are those of which there are events.

    Raises:
        Refused: `Code.INVALID` or `Code.MALFORMED`.
    """
    try:
        raw = query.encode("ascii")
    except UnicodeEncodeError as error:
        raise Refused(Code.INVALID, "The query is written as in an address: percent-encoded.") from error
    return await event_filter(Parameters(raw, selecting(types), limits), registry)


class SubscriptionsApi:
    """Serves registrations.

    Args:
        bus: Has the events.
        registry: The members.
        store: Has the registrations.
        authenticate: Finds out who calls.
        to_listeners: Reaches listeners; None where no notifications are sent.
        clock: For times.
        entropy: For identifiers and secrets.
        limits: `subscriptions_max`, `subscriptions_per_subject_max`, `webhook_secret_overlap_s`.
        endpoint: Address of this marketplace.
        types: Those of which there are events; none: any name is taken.
        allow_private_networks: Whether listeners may be in one.
    """

    def __init__(
        self,
        bus: BusReads,
        registry: MemberRegistry,
        store: Store,
        authenticate: Authenticate,
        to_listeners: HttpClient | None,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
        endpoint: str,
        types: Collection[str],
        *,
        allow_private_networks: bool,
    ) -> None:
        self._bus = bus
        self._registry = registry
        self._store = store
        self._authenticate = authenticate
        self._clock = clock
        self._entropy = entropy
        self._limits = limits
        self._endpoint = endpoint
        self._types = types
        self._allow_private_networks = allow_private_networks
        self._tests = TestEvents(
            to_listeners, clock, entropy, limits, partial(test_event, endpoint), CLOUD_EVENT
        )

    # -- registrations ---------------------------------------------------------------------------------------

    async def add(self, request: Request) -> Response:
        """`POST /league/v1/subscriptions`."""
        Parameters(request, (), self._limits)
        caller = self._writer(request)
        new = _read(await json_body(request, BODY_SIZE_MAX_BYTES), NewSubscription)
        problem = callback_problem(new.callback, allow_private_networks=self._allow_private_networks)
        if problem is not None:
            raise Refused(Code.INVALID, f"callback {problem}")
        filter = await subscription_filter(new.query, self._types, self._registry, self._limits)
        last = (await self._bus.search(POSITION_MAX, filter, 1)).last_position
        position = last if new.after is None else new.after
        if not 0 <= position <= last:
            raise Refused(Code.INVALID, f"after is a position on the ledger, from 0 to {last}.")
        added = await register(
            *(self._store, caller, self._entropy, self._limits),
            api=LEAGUE,
            callback=new.callback,
            query=new.query,
            position=position,
        )
        response = json_response(
            (await self._reports([added]))[0],
            headers={"location": f"{self._endpoint}{SUBSCRIPTIONS_PATH}/{added.id}"},
        )
        response.status_code = 201
        return response

    async def list(self, request: Request) -> Response:
        """`GET /league/v1/subscriptions`."""
        caller = require_token(self._authenticate, request)
        parameters = Parameters(request, _PAGES | {"state": known_types(STATES, "state")}, self._limits)
        state = parameters.text("state")
        rows, total = await subscriptions.page(
            self._store,
            LEAGUE,
            subscriber=None if OPERATOR in caller.roles else caller.subject,
            state=next((one for one in STATES if one == state), None),
            offset=parameters.number("offset", 0, 0, POSITION_MAX),
            limit=parameters.page_size(self._limits.list_limit_default),
        )
        return json_response(SubscriptionPage(await self._reports(rows), total))

    async def one(self, request: Request) -> Response:
        """`GET /league/v1/subscriptions/{id}`."""
        Parameters(request, (), self._limits)
        (report,) = await self._reports([await self._visible(request)])
        return json_response(report)

    async def end(self, request: Request) -> Response:
        """`DELETE /league/v1/subscriptions/{id}`."""
        Parameters(request, (), self._limits)
        subscription = await self._visible(request)
        async with self._store.transaction() as tx:
            if not await subscriptions.remove(tx, subscription.id):
                raise _not_found(subscription.id)
        return Response(status_code=204)

    # -- delivery --------------------------------------------------------------------------------------------

    async def dead_letters(self, request: Request) -> Response:
        """`GET /league/v1/subscriptions/{id}/dead-letters`."""
        subscription = await self._visible(request)
        parameters = Parameters(request, _PAGES, self._limits)
        dead_letters, total = await subscriptions.dead_letters(
            self._store,
            subscription.id,
            offset=parameters.number("offset", 0, 0, POSITION_MAX),
            limit=parameters.page_size(self._limits.list_limit_default),
        )
        return json_response(DeadLetterPage(_letter_reports(dead_letters), total))

    async def resend(self, request: Request) -> Response:
        """`POST /league/v1/subscriptions/{id}/resend`."""
        Parameters(request, (), self._limits)
        self._writer(request)
        subscription = await self._visible(request)
        requested = _read(await json_body(request, BODY_SIZE_MAX_BYTES) or b"{}", ResendRequest)
        await resend(self._store, subscription, requested.event_id)
        return await self._current(subscription)

    async def resume(self, request: Request) -> Response:
        """`POST /league/v1/subscriptions/{id}/resume`."""
        Parameters(request, (), self._limits)
        self._writer(request)
        subscription = await self._visible(request)
        async with self._store.transaction() as tx:
            await subscriptions.resume(tx, subscription.id)
        return await self._current(subscription)

    async def secret(self, request: Request) -> Response:
        """`GET /league/v1/subscriptions/{id}/secret`."""
        Parameters(request, (), self._limits)
        self._writer(request)
        return _secret(await self._visible(request))

    async def exchange_secret(self, request: Request) -> Response:
        """`POST /league/v1/subscriptions/{id}/secret`."""
        Parameters(request, (), self._limits)
        self._writer(request)
        subscription = await self._visible(request)
        await exchange_secret(self._store, subscription, self._clock, self._entropy, self._limits)
        return _secret(await self._visible(request))

    async def test(self, request: Request) -> Response:
        """`POST /league/v1/subscriptions/{id}/test`."""
        Parameters(request, (), self._limits)
        self._writer(request)
        attempt = await self._tests.send(await self._visible(request))
        return json_response(TestOutcome(attempt.problem is None, attempt.problem, attempt.answered))

    # -- who and what ----------------------------------------------------------------------------------------

    def _writer(self, request: Request) -> Caller:
        """The caller, who may have events sent to an address."""
        caller = require_token(self._authenticate, request)
        check_writer(caller)
        return caller

    async def _visible(self, request: Request) -> Subscription:
        """The registration that the path names, which the caller may see."""
        caller = require_token(self._authenticate, request)
        id = request.path_params["id"]
        subscription = await subscriptions.get(self._store, id)
        if not is_visible(subscription, LEAGUE, caller):
            raise _not_found(id)
        return subscription

    async def _current(self, subscription: Subscription) -> Response:
        current = await subscriptions.get(self._store, subscription.id)
        if current is None:
            raise _not_found(subscription.id)
        (report,) = await self._reports([current])
        return json_response(report)

    async def _reports(self, rows: Sequence[Subscription]) -> tuple[SubscriptionReport, ...]:
        counts = await subscriptions.dead_letter_counts(self._store, [row.id for row in rows])
        return tuple([_report(row, counts[row.id]) for row in rows])


def _report(subscription: Subscription, dead_letters: int) -> SubscriptionReport:
    return SubscriptionReport(
        subscription.id,
        subscription.callback,
        subscription.query,
        SubscriptionDelivery(
            state=subscription.state,
            position=subscription.position,
            delivered=subscription.delivered,
            dead_letters=dead_letters,
            dead_letters_dropped=subscription.dead_letters_dropped,
            failures=subscription.failures,
            failing_since=subscription.failing_since,
            problem=subscription.problem,
            answered=subscription.answered,
        ),
    )


def test_event(endpoint: str, event_id: str, time: str) -> Mapping[str, object]:
    """A test event as a CloudEvent: its source is this marketplace, and it is about nothing."""
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": endpoint,
        "type": EVENT_TYPE,
        "time": time,
        "datacontenttype": JSON,
        "data": {},
    }


def _read(raw: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(raw, type=kind)
    except UNREADABLE as error:
        raise Refused(Code.INVALID, f"The body cannot be used: {error}") from error


def _letter_reports(dead_letters: Sequence[DeadLetter]) -> tuple[DeadLetterReport, ...]:
    return tuple(
        DeadLetterReport(
            *(letter.event_id, letter.event_type, letter.time, letter.attempts),
            *(letter.problem, letter.answered, letter.is_due),
        )
        for letter in dead_letters
    )


def _secret(subscription: Subscription) -> Response:
    return json_response(
        SubscriptionSecret(
            subscription.secret, subscription.secret_before_until if subscription.secret_before else None
        )
    )


def _not_found(id: str) -> Refused:
    return Refused(Code.NOT_FOUND, f"There is no subscription {id[:300]!r}.")
