"""The hub of an API: where listeners register for its events (TMF630 Part 1, section 10.1).

A registration belongs to the subject of the token that made it; an operator sees and ends all of them.
"""

from __future__ import annotations

import uuid
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from hansa.business.http import CONTENT_TYPE, JSON_TYPES, Answer, Request
from hansa.business.models import Api
from hansa.business.notifications import hub_query
from hansa.business.query import pairs
from hansa.business.surroundings import Surroundings
from hansa.business.validation import Violation, refuse
from hansa.core.caller import Caller
from hansa.core.errors import Code, Refused, Unavailable
from hansa.store import subscriptions
from hansa.store.subscriptions import Subscription

CALLBACK_LENGTH_MAX_CHARS: Final = 2048


class HubHandler:
    """Answers requests for the registrations at the hub of one API."""

    def __init__(self, api: Api, around: Surroundings) -> None:
        self.path = api.base_path + "hub"
        self._api = api
        self._around = around
        self._store = around.store

    async def register(self, request: Request, _: str) -> Answer:
        """POST: 201, 400, 401, 409, 413, 415, or 429 when there are too many registrations."""
        caller = self._subscriber(request)
        request.accept_json()
        body = await request.json(JSON_TYPES)
        callback, query = _registration(body)
        hub_query(query, self._api, request.limits)
        async with self._store.transaction() as tx:
            if await subscriptions.count(tx) >= request.limits.subscriptions_max:
                raise Unavailable(
                    Code.OVERLOADED, "The hub is full: no more registrations are taken.", retry_after_s=60
                )
            made = await subscriptions.add(
                tx,
                id=str(uuid.UUID(bytes=self._around.entropy(16), version=4)),
                api=self._api.id,
                callback=callback,
                query=query,
                subscriber=caller.subject or "",
            )
            if made is None:
                raise Refused(Code.CONFLICT, f"{callback} is registered already with the same query.")
        location = f"{self._around.endpoint}{self.path}/{made.id}"
        return Answer(
            201, msgspec.json.encode(_shown(made)), (CONTENT_TYPE, (b"location", location.encode()))
        )

    async def list(self, request: Request, _: str) -> Answer:
        """GET of the collection: 200, 400 or 401."""
        caller = self._subscriber(request)
        request.accept_json()
        paging = {"offset": 0, "limit": request.limits.list_limit_default}
        for name, value in pairs(request.query_string, request.limits):
            if name not in paging or not (value.isascii() and value.isdigit() and len(value) < 16):
                raise Refused(
                    Code.INVALID, f"{name}={value!r}: a hub takes offset and limit, whole numbers from 0 on."
                )
            paging[name] = int(value)
        found, total = await subscriptions.page(
            self._store,
            self._api.id,
            subscriber=None if "operator" in caller.roles else caller.subject,
            offset=paging["offset"],
            limit=min(paging["limit"], request.limits.list_limit_max),
        )
        headers = (
            CONTENT_TYPE,
            (b"x-total-count", str(total).encode()),
            (b"x-result-count", str(len(found)).encode()),
        )
        return Answer(200, msgspec.json.encode([_shown(one) for one in found]), headers)

    async def retrieve(self, request: Request, subscription_id: str) -> Answer:
        """GET of one registration: 200, 401 or 404."""
        request.accept_json()
        found = await self._visible(request, subscription_id)
        return Answer(200, msgspec.json.encode(_shown(found)), (CONTENT_TYPE,))

    async def end(self, request: Request, subscription_id: str) -> Answer:
        """DELETE of one registration: 204, 401 or 404."""
        await self._visible(request, subscription_id)
        async with self._store.transaction() as tx:
            if not await subscriptions.remove(tx, subscription_id):
                raise _not_found(subscription_id)
        return Answer(204)

    def _subscriber(self, request: Request) -> Caller:
        caller = self._around.authenticate(request.headers)
        if not caller.is_authenticated:
            raise Refused(Code.UNAUTHENTICATED, "The hub needs a bearer token.")
        return caller

    async def _visible(self, request: Request, subscription_id: str) -> Subscription:
        caller = self._subscriber(request)
        found = await subscriptions.get(self._store, subscription_id)
        if found is None or found.api != self._api.id:
            raise _not_found(subscription_id)
        if found.subscriber != caller.subject and "operator" not in caller.roles:
            raise _not_found(subscription_id)
        return found


def _registration(body: dict[str, Any]) -> tuple[str, str]:
    """Callback and query of a registration, checked."""
    callback, query = body.get("callback"), body.get("query")
    found = [
        Violation(name, "a registration has a callback and a query")
        for name in body
        if name not in {"id", "callback", "query"} and not name.startswith("@")
    ]
    if query is not None and type(query) is not str:
        found.append(Violation("query", "must be a string", query))
    if callback is None:
        found.append(Violation("callback", "is required"))
    elif not _is_callback(callback):
        found.append(
            Violation(
                "callback",
                "must be an http or https address with a host and without user or fragment",
                callback,
            )
        )
    refuse(found)
    return str(callback), query or ""


def _is_callback(address: object) -> bool:
    if type(address) is not str or len(address) > CALLBACK_LENGTH_MAX_CHARS or not address.isprintable():
        return False
    try:
        parts = urlsplit(address)
        return (
            parts.scheme in {"http", "https"}
            and bool(parts.hostname)
            and parts.port != 0
            and parts.username is None
            and not parts.fragment
            and " " not in address
        )
    except ValueError:
        return False


def _shown(subscription: Subscription) -> dict[str, str]:
    shown = {"id": subscription.id, "callback": subscription.callback}
    return {**shown, "query": subscription.query} if subscription.query else shown


def _not_found(subscription_id: str) -> Refused:
    return Refused(Code.NOT_FOUND, f"There is no registration {subscription_id[:300]!r}.")
