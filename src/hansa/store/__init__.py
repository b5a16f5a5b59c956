"""The catalogue store: entities as stored bytes, the feed of their changes, cursors, and domain tables.

What a store is: `interface`. What it holds and returns: `records`. What of an entity is indexed: `index`. The
domain tables: `tables`, in portable SQL (`sql`). One package for each engine: `sqlite`, which marketplaces
run on, and `memory`, its plain twin for tests and simulations. Only `hansa.node` and tests open an engine;
all others know `Store`.
"""

from hansa.store.interface import Store, Transaction
from hansa.store.operators import Operator
from hansa.store.records import (
    AllOf,
    AnyOf,
    Change,
    Condition,
    Entity,
    EntityDraft,
    Filter,
    IsPublic,
    ListCaller,
    Operation,
    Page,
    Query,
    Referrer,
    SortKey,
    Test,
)

__all__ = [
    "AllOf",
    "AnyOf",
    "Change",
    "Condition",
    "Entity",
    "EntityDraft",
    "Filter",
    "IsPublic",
    "ListCaller",
    "Operation",
    "Operator",
    "Page",
    "Query",
    "Referrer",
    "SortKey",
    "Store",
    "Test",
    "Transaction",
]
