"""The ledger's state as the rules see it: what is committed, and changes on top that are not committed yet.

    StateView     what rules read: the members, the claims, the events' ids
    Overlay       a view with changes on top; the view below stays as it is. There is one for a block, and on
                  it one for each transaction, which the block's absorbs when the transaction is valid
    BlockEffects  all changes of a block, for the store

Rules change an overlay through `append_batch`, `record_misbehavior` and its `put_` methods.
"""

from hansa.pubsub.ledger.state.beginning import genesis_effects
from hansa.pubsub.ledger.state.overlay import Overlay
from hansa.pubsub.ledger.state.view import (
    NOTHING,
    BlockEffects,
    Head,
    Load,
    NewBatch,
    NewEvent,
    StateView,
)

__all__ = [
    "NOTHING",
    "BlockEffects",
    "Head",
    "Load",
    "NewBatch",
    "NewEvent",
    "Overlay",
    "StateView",
    "genesis_effects",
]
