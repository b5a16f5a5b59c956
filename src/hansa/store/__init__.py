"""The catalogue store: entities as stored bytes, the feed of their changes, cursors. See `Store`."""

from hansa.store.records import (
    AllOf,
    AnyOf,
    Change,
    Condition,
    Entity,
    EntityDraft,
    Filter,
    Operation,
    Operator,
    Page,
    Query,
    SortKey,
    Test,
)
from hansa.store.store import Store
from hansa.store.transaction import Transaction

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
