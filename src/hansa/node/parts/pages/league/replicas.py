"""The states of what other members have published, as `hansa replication list|why|retry` has them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, cast

from hansa.core.clock import rfc3339_at_ms
from hansa.portal.operators.league.replication import RETRIED, ReplicaPage, ReplicaState
from hansa.replication.registry import MemberRegistry
from hansa.replication.replicas.control import ReplicaControl
from hansa.store.tables.heads import HeadState, State

LOOKED_AT_MAX: Final = 2000
"""Heads for one page, of which only those are shown that failed, or that wait."""


class ReplicaStates:
    """The states.

    Args:
        did: Of this marketplace.
        control: Lists them, and has retrievals attempted again.
        registry: The members.
    """

    def __init__(self, did: str, control: ReplicaControl, registry: MemberRegistry) -> None:
        self._did = did
        self._control = control
        self._registry = registry

    async def page(self, state: str, origin: str | None, after: int, limit: int) -> ReplicaPage:
        """See `hansa.portal.operators.league.replication.ReplicaReads`."""
        states = cast("tuple[State, ...]", RETRIED[state])
        shown: list[HeadState] = []
        looked_at, position = 0, after
        while looked_at < LOOKED_AT_MAX:
            part = await self._control.page(states, origin, position, limit)
            looked_at += limit
            for head in part.heads:
                position = head.position
                if _is_shown(head, state):
                    shown.append(head)
                if len(shown) == limit:
                    return ReplicaPage(self._named(shown), position)
            if part.next_after is None:
                return ReplicaPage(self._named(shown), None)
        return ReplicaPage(self._named(shown), position)

    async def why(self, entity: str) -> tuple[ReplicaState, ...]:
        """See `ReplicaReads`."""
        return self._named(await self._control.of_entity(entity))

    async def retry(self, states: tuple[str, ...], origin: str | None, entity: str | None) -> int:
        """See `ReplicaReads`."""
        return await self._control.retry(cast("tuple[State, ...]", states), origin, entity)

    def origins(self) -> tuple[tuple[str, str], ...]:
        """See `ReplicaReads`."""
        return tuple((one.did, one.name) for one in self._registry.known() if one.did != self._did)

    def _named(self, heads: Iterable[HeadState]) -> tuple[ReplicaState, ...]:
        names = {one.did: one.name for one in self._registry.known()}
        return tuple(_state(head, names.get(head.issuer, head.issuer)) for head in heads)


def _is_shown(head: HeadState, state: str) -> bool:
    if state not in {"waiting", "failed"}:
        return True
    return (head.attempts > 0) == (state == "failed")


def _state(head: HeadState, name: str) -> ReplicaState:
    shown: str = head.state
    if head.state == "pending":
        shown = "failed" if head.attempts else "waiting"
    is_due_later = head.state == "pending" and head.due_ms > 0
    due = rfc3339_at_ms(head.due_ms) if is_due_later else None
    return ReplicaState(
        issuer=head.issuer,
        issuer_name=name,
        key=head.key,
        entity_id=head.entity_id or "",
        type=head.type,
        state=shown,
        version=head.version,
        position=head.position,
        attempts=head.attempts,
        next_attempt=due,
        code=head.problem or "",
        reason=head.reason or "",
    )
