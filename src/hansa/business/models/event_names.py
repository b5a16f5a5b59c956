"""The names of events: for each operation the name in the resource's document, or else the usual one.

Names begin with a capital, as in the definitions and examples of all documents; only the paths of listeners
do not. Documents differ: a change is a `…AttributeValueChangeEvent` in some and a `…ChangeEvent` in others; a
new state is a `…StateChangeEvent`, a `…StatusChangeEvent` or a change. Where a document has no event for an
operation, the usual name is sent: a listener that registered for certain events does not receive it, and one
that registered for all does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hansa.business.models import Resource
from hansa.business.models.records import capitalized
from hansa.store.records import Operation

_CHANGE: Final = ("AttributeValueChangeEvent", "ChangeEvent")

SUFFIXES: Final[Mapping[Operation, tuple[str, ...]]] = {
    "create": ("CreateEvent", "CreationEvent"),
    "change": _CHANGE,
    "state": ("StateChangeEvent", "StatusChangeEvent", "ExecutionStateChangeEvent", *_CHANGE),
    "delete": ("DeleteEvent", "RemoveEvent"),
}
"""Suffixes of event names by operation, in the order of preference; the first is the usual one."""

STATES: Final[Mapping[str, frozenset[str]]] = {
    "ResolvedEvent": frozenset({"resolved"}),
    "CancelEvent": frozenset({"cancelled"}),
    "FailureEvent": frozenset({"failed"}),
    "ApprovalRequiredEvent": frozenset({"waitForApproval"}),
}
"""Suffixes of events about reaching a state, sent beside that of the change where the document has them."""


def event_name(resource: Resource, operation: Operation) -> str:
    """Name of the event for an operation on an entity of this resource."""
    documented = (_documented_name(resource, suffix) for suffix in SUFFIXES[operation])
    return next((name for name in documented if name), capitalized(resource.name) + SUFFIXES[operation][0])


def reached_names(resource: Resource, state: str | None = None) -> tuple[str, ...]:
    """Names of the events about reaching a state; without a state, of all such events."""
    names = (
        _documented_name(resource, suffix)
        for suffix, states in STATES.items()
        if state is None or state in states
    )
    return tuple(name for name in names if name)


def offered_names(resource: Resource) -> frozenset[str]:
    """Every name for which a listener can register: those of the document, and those that are sent."""
    return frozenset((*resource.events, *(event_name(resource, operation) for operation in SUFFIXES)))


def _documented_name(resource: Resource, suffix: str) -> str | None:
    expected = (resource.name + suffix).lower()
    return next((name for name in resource.events if name.lower() == expected), None)
