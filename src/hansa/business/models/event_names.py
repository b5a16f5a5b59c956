"""How events are called: which name of a resource's document, or else the usual one, stands for what happened.

Documents differ: some tell of a change with `…AttributeValueChangeEvent`, some with `…ChangeEvent`; a new state is a
`…StateChangeEvent`, a `…StatusChangeEvent` or just a change. Where a document has no event for what happened, the
usual name is sent: nobody who registered for certain events gets it, and who registered for all misses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hansa.business.models import Resource
from hansa.store.records import Operation

_CHANGE: Final = ("AttributeValueChangeEvent", "ChangeEvent")

SUFFIXES: Final[Mapping[Operation, tuple[str, ...]]] = {
    "create": ("CreateEvent", "CreationEvent"),
    "change": _CHANGE,
    "state": ("StateChangeEvent", "StatusChangeEvent", "ExecutionStateChangeEvent", *_CHANGE),
    "delete": ("DeleteEvent", "RemoveEvent"),
}
"""Endings of event names by what happened, in the order in which they are looked for; the first is the usual one."""

STATES: Final[Mapping[str, frozenset[str]]] = {
    "ResolvedEvent": frozenset({"resolved"}),
    "CancelEvent": frozenset({"cancelled"}),
    "FailureEvent": frozenset({"failed"}),
    "ApprovalRequiredEvent": frozenset({"waitForApproval"}),
}
"""Events that tell of reaching a state, beside the one of the change. Only where the document has them."""


def event_name(resource: Resource, operation: Operation) -> str:
    """Name of the event that tells what happened to an entity of this resource."""
    found = (_named(resource, suffix) for suffix in SUFFIXES[operation])
    return next((name for name in found if name), resource.name + SUFFIXES[operation][0])


def reached_names(resource: Resource, state: str | None = None) -> tuple[str, ...]:
    """Names of the events that tell of reaching a state; of reaching any, when none is given."""
    names = (
        _named(resource, suffix) for suffix, states in STATES.items() if state is None or state in states
    )
    return tuple(name for name in names if name)


def offered_names(resource: Resource) -> frozenset[str]:
    """Every name that a listener can register for: those of the document, and those that are sent."""
    return frozenset((*resource.events, *(event_name(resource, operation) for operation in SUFFIXES)))


def _named(resource: Resource, suffix: str) -> str | None:
    wanted = (resource.name + suffix).lower()
    return next((name for name in resource.events if name.lower() == wanted), None)
