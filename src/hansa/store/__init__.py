"""The catalogue store: entities as stored bytes, the feed of their changes, cursors. See `Store`."""

from hansa.store.operators import Operator
from hansa.store.records import (
    AllOf,
    AnyOf,
    Change,
    Condition,
    Entity,
    EntityDraft,
    Filter,
    Operation,
    Page,
    Query,
    SortKey,
    Test,
)
from hansa.store.sqlite.commit.transaction import Transaction
from hansa.store.sqlite.store import Store

__all__ = [
    "AllOf",
    "AnyOf",
    "Change",
    "Condition",
    "Entity",
    "EntityDraft",
    "Filter",
    "Operation",
    "Operator",
    "Page",
    "Query",
    "SortKey",
    "Store",
    "Test",
    "Transaction",
]
