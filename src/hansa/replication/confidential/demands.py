"""Which own entities have to be looked at, since they are, or were, for some members alone.

The publisher of public entities reads every change of an own entity. Those that say for whom they are
(`Audiences`), and those of which something is with other members, are noted in the transaction that moves
its cursor; so the feed is read once, and no change is missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from hansa.core.signal import Signal
from hansa.replication.confidential.audience import Audiences
from hansa.store import Entity, Store, Transaction
from hansa.store.tables.confidential import announced

Demand = tuple[str, str]
"""Identifier and type."""


class Demands:
    """Notes entities that have to be looked at.

    Args:
        store: Has what was announced.
        audiences: Which entities say for whom they are.
        changed: Wakes the confidential publisher.
    """

    def __init__(self, store: Store, audiences: Audiences, changed: Signal) -> None:
        self._store = store
        self._audiences = audiences
        self._changed = changed
        self._has_rows = True

    async def of(self, entity_ids: Sequence[str], entities: Mapping[str, Entity]) -> list[Demand]:
        """Those of some own entities that changed which have to be looked at; `entities`: that exist."""
        demands = self.named_by(entities.values())
        if self._has_rows:
            named = {entity_id for entity_id, _ in demands}
            others = [each for each in entity_ids if each not in named]
            known = await announced.states(self._store, others)
            demands += [(one.entity_id, one.type) for one in known.values()]
        return demands

    def named_by(self, entities: Iterable[Entity]) -> list[Demand]:
        """Those of some entities that say for whom they are."""
        return [(one.id, one.type) for one in entities if self._audiences.is_named_by(one)]

    async def note(self, tx: Transaction, demands: Sequence[Demand]) -> None:
        """Have entities looked at."""
        if demands:
            self._has_rows = True
            await announced.demand(tx, demands)

    def committed(self, demands: Sequence[Demand]) -> None:
        """The transaction that noted them was committed."""
        if demands:
            self._changed.notify()

    async def begin(self) -> None:
        """Find out whether anything was ever for some members alone."""
        self._has_rows = await announced.is_any(self._store)
