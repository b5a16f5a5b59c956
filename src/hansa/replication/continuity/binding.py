"""The binding of a store to one marketplace and one ledger.

A cursor is a number, and every ledger has events to count. With the store of another marketplace, or with one
that has followed another ledger, a follower would wait for positions that mean something else, read nothing
and say nothing; a publisher would tell the league of entities that are not its own. So the store knows to
whom it belongs (`ledger`: DID, chain id and time of the genesis), and the digest of the last event that was
followed, with its position, the height and the time of its block (`followed_event`). A start that contradicts
is refused; a ledger that is behind the store, as while its engine fetches blocks anew, is waited for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from hansa.core.errors import Code, Fatal
from hansa.pubsub.bus import BusReads
from hansa.pubsub.ledger_records import CommittedEvent
from hansa.store import Store, Transaction
from hansa.store.tables import facts, origins

REMEDY: Final = "docs/operators/recover.md says what to do."


async def bind_store(store: Store, did: str, chain_id: str, genesis_time: str) -> None:
    """Bind a store that belongs to nobody yet, and check one that does.

    Raises:
        Fatal: `Code.STORE_FOREIGN`.
    """
    if any(origin.did == did and origin.stored for origin in await origins.origins(store)):
        raise Fatal(
            Code.STORE_FOREIGN,
            f"The store is another marketplace's: it has replicas whose origin is this one, {did}. {REMEDY}",
        )
    binding = f"{did} {chain_id} {genesis_time}"
    bound = await facts.value(store, "ledger")
    if bound is None:
        async with store.transaction() as tx:
            await facts.record(tx, "ledger", binding)
    elif bound != binding:
        owner, chain, time = bound.split(" ", 2)
        what = f"belongs to {owner}, not to {did}"
        if owner == did:
            what = f"has followed the ledger {chain} of {time}; the genesis here is of {chain_id}, {genesis_time}"
        raise Fatal(Code.STORE_FOREIGN, f"The store {what}. {REMEDY}")


async def record_followed(tx: Transaction, events: Sequence[CommittedEvent]) -> None:
    """Record up to which event the store has followed; in the transaction that moves the cursor."""
    if events:
        await facts.record(tx, "followed_event", _identity_of(events[-1]))


async def is_continued(store: Store, bus: BusReads) -> bool:
    """Whether the ledger has the last event that the store has followed; False while it is behind it.

    Raises:
        Fatal: `Code.STORE_FOREIGN`, when the ledger has another event there.
        Unavailable: The bus does not answer.
    """
    followed = await facts.value(store, "followed_event")
    if followed is None:
        return True
    position = int(followed.split(" ")[0])
    page = await bus.search(position - 1, limit=1)
    if not page.events:
        assert page.last_position < position, "positions have no gaps"
        return False
    if _identity_of(page.events[0]) != followed:
        raise Fatal(
            Code.STORE_FOREIGN,
            f"The store has followed another ledger: it has another event at position {position}. {REMEDY}",
        )
    return True


def _identity_of(committed: CommittedEvent) -> str:
    """Position and digest of an event and of what commits it to a block."""
    block = f"{committed.position} {committed.height} {committed.time} ".encode()
    return f"{committed.position} {hashlib.sha256(block + committed.content).hexdigest()}"
