"""Bounds of registrations, whatever they are for: how many there may be, and where their listeners may be."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Final, TypeGuard

import msgspec
import structlog

from hansa.business.hub.signatures import new_secret
from hansa.core.access import OPERATOR, Caller
from hansa.core.clock import Clock, rfc3339
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.identifiers import Entropy
from hansa.core.limits import Limits
from hansa.core.web_addresses import web_address
from hansa.store import Store, Transaction
from hansa.store.tables import subscriptions
from hansa.store.tables.subscriptions import Subscription

CALLBACK_LENGTH_MAX_CHARS: Final = 2048
FULL_RETRY_AFTER_S: Final = 60.0

log = structlog.get_logger()


def check_writer(caller: Caller) -> None:
    """Refuse who may not have events sent to an address: it costs this marketplace.

    Raises:
        Refused: `Code.FORBIDDEN`.
    """
    if not caller.may_write:
        raise Refused(
            Code.FORBIDDEN,
            "Only a token that may write, of a provider or an operator, registers listeners.",
        )


def check_subscriber(caller: Caller) -> None:
    """Refuse who may have no events of entities sent: neither a token that may write, nor an organisation.

    Raises:
        Refused: `Code.FORBIDDEN`.
    """
    if caller.organization is None:
        check_writer(caller)


def rights_of(caller: Caller) -> str:
    """Whose rights hold for a registration, as it is stored; empty for a token of the operator."""
    return "" if caller.organization is None else msgspec.json.encode(caller).decode()


def is_visible(subscription: Subscription | None, api: str, caller: Caller) -> TypeGuard[Subscription]:
    """Whether a registration is one of an API, or of the league, that a caller may see."""
    if subscription is None or subscription.api != api:
        return False
    if OPERATOR in caller.roles:
        return True
    is_own = subscription.subscriber == caller.subject
    return is_own and subscription.organization == (caller.organization or "")


async def register(
    store: Store,
    caller: Caller,
    entropy: Entropy,
    limits: Limits,
    *,
    api: str,
    callback: str,
    query: str,
    topic: str = "",
    position: int | None = None,
) -> Subscription:
    """Make a registration; see `hansa.store.tables.subscriptions.add`.

    Raises:
        Refused: `Code.CONFLICT`, when there is one with this callback and query.
        Unavailable: `Code.OVERLOADED`, when there is no room for it.
    """
    async with store.transaction() as tx:
        await check_room(tx, caller, limits)
        added = await subscriptions.add(
            tx,
            id=str(uuid.UUID(bytes=entropy(16), version=4)),
            api=api,
            callback=callback,
            query=query,
            subscriber=caller.subject or "",
            organization=caller.organization or "",
            caller=rights_of(caller),
            topic=topic,
            secret=new_secret(entropy),
            position=position,
        )
        if added is None:
            raise Refused(Code.CONFLICT, f"{callback} is registered already with the same query.")
    return added


async def exchange_secret(
    store: Store, subscription: Subscription, clock: Clock, entropy: Entropy, limits: Limits
) -> None:
    """Give a registration another secret; the present one is good for a while."""
    until = rfc3339(clock.now() + timedelta(seconds=limits.webhook_secret_overlap_s))
    async with store.transaction() as tx:
        await subscriptions.exchange_secret(tx, subscription.id, new_secret(entropy), before_until=until)


async def resend(store: Store, subscription: Subscription, event_id: str | None) -> None:
    """Have dead letters of a registration sent again, all of them or one.

    Raises:
        Refused: `Code.NOT_FOUND`, when there is no such one.
    """
    async with store.transaction() as tx:
        if not await subscriptions.resend(tx, subscription.id, event_id) and event_id is not None:
            raise Refused(Code.NOT_FOUND, f"There is no dead letter {event_id[:300]!r}.")


async def check_room(tx: Transaction, caller: Caller, limits: Limits) -> None:
    """Refuse a registration beyond those that all together, or one subject, may have."""
    if await subscriptions.count(tx) >= limits.subscriptions_max:
        raise Unavailable(
            Code.OVERLOADED,
            "The hub has no room for further registrations (subscriptions_max).",
            retry_after_s=FULL_RETRY_AFTER_S,
        )
    if OPERATOR in caller.roles:
        return
    organization = caller.organization or ""
    if await subscriptions.count(tx, caller.subject, organization) >= limits.subscriptions_per_subject_max:
        raise Unavailable(
            Code.OVERLOADED,
            f"{'Your organisation' if organization else 'The subject of this token'} has "
            f"{limits.subscriptions_per_subject_max} registrations, the most that one may "
            "have (subscriptions_per_subject_max). End one that is not needed.",
            retry_after_s=FULL_RETRY_AFTER_S,
        )


def callback_problem(callback: object, *, allow_private_networks: bool) -> str | None:
    """What is wrong with a callback; None when notifications can be sent to it."""
    if type(callback) is not str:
        return "must be a string"
    if len(callback) > CALLBACK_LENGTH_MAX_CHARS:
        return f"must have at most {CALLBACK_LENGTH_MAX_CHARS} characters"
    try:
        web_address(callback, allow_private_networks=allow_private_networks)
    except Refused as error:
        return f"must be an http or https address. {error.message.removesuffix('.')}"
    return None


async def set_aside(store: Store, subscription: Subscription, problem: str) -> None:
    """Pause a registration that cannot be served, so that whoever made it sees that."""
    log.warning("subscription_unusable", id=subscription.id, problem=problem)
    if not subscription.is_paused or subscription.problem != Code.LISTENER_UNUSABLE:
        async with store.transaction() as tx:
            await subscriptions.set_aside(tx, subscription.id, Code.LISTENER_UNUSABLE)
