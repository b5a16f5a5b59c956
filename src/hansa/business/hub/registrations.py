"""Bounds of registrations, whatever they are for: how many there may be, and where their listeners may be."""

from __future__ import annotations

from typing import Final

import structlog

from hansa.core.access import OPERATOR, Caller
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.limits import Limits
from hansa.core.web_addresses import web_address
from hansa.store import Store, Transaction
from hansa.store.tables import subscriptions
from hansa.store.tables.subscriptions import Subscription

CALLBACK_LENGTH_MAX_CHARS: Final = 2048
FULL_RETRY_AFTER_S: Final = 60.0

log = structlog.get_logger()


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
    if await subscriptions.count(tx, caller.subject) >= limits.subscriptions_per_subject_max:
        raise Unavailable(
            Code.OVERLOADED,
            f"This token's subject has {limits.subscriptions_per_subject_max} registrations, the most that one may "
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
