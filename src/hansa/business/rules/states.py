"""Refuses a state that cannot follow the previous one: of an entity, and of the items of an order.

The machines are those of `hansa.business.models.lifecycles`. An entity may be created in any state of its
machine, since a marketplace imports catalogues and inventories that began elsewhere; after that it moves
along the transitions only, and a state that is set cannot be removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hansa.business.models import Lifecycle, Models, Resource
from hansa.business.validation.violations import Violation, refuse
from hansa.core.errors import Code, Refused

VALUE_SHOWN_MAX_CHARS: Final = 60


class UnknownWord(msgspec.Struct, frozen=True):
    """A word that is taken as it is, though other words are known there."""

    path: str
    word: str
    known: tuple[str, ...]
    """The one that it most likely means, or else all."""


class StateRules:
    """Checks the states of all resources."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def check(self, resource: Resource, before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> None:
        """Check the state of an entity, and those of its items.

        Raises:
            Refused: `Code.TRANSITION_REFUSED`, with the states that can follow; `Code.INVALID` for a state
                that is unknown where the document enumerates the states.
        """
        machine = self._models.lifecycle(resource)
        if machine is None or resource.status_attribute is None:
            return
        name = resource.status_attribute
        _check_step(machine, name, None if before is None else before.get(name), after.get(name))
        for items in machine.items:
            parts = after.get(items.path)
            if not parts or (before is not None and before.get(items.path) == parts):
                continue
            states = _by_identifier(before.get(items.path) if before else None, items.status)
            part_machine = self._models.named_lifecycle(items.lifecycle)
            for index, part in enumerate(parts):
                path = f"{items.path}[{index}].{items.status}"
                _check_step(part_machine, path, states.get(part.get("id")), part.get(items.status))

    def unknown_words(self, resource: Resource, entity: Mapping[str, Any]) -> tuple[UnknownWord, ...]:
        """States of an entity and of its items that their machines do not know; only open ones allow such."""
        machine = self._models.lifecycle(resource)
        if machine is None or resource.status_attribute is None:
            return ()
        word = _unknown_word(machine, resource.status_attribute, entity.get(resource.status_attribute))
        words = [word] if word is not None else []
        for items in machine.items:
            lifecycle = self._models.named_lifecycle(items.lifecycle)
            if not lifecycle.is_open:
                continue
            for index, part in enumerate(entity.get(items.path) or ()):
                path = f"{items.path}[{index}].{items.status}"
                word = _unknown_word(lifecycle, path, part.get(items.status))
                if word is not None:
                    words.append(word)
        return tuple(words)


def _unknown_word(machine: Lifecycle, path: str, state: object) -> UnknownWord | None:
    if type(state) is not str or state in machine.next or machine.spelling_of(state) is not None:
        return None
    nearest = machine.nearest(state)
    return UnknownWord(path, state, (nearest,) if nearest is not None else machine.states)


def _by_identifier(parts: Any, status: str) -> dict[Any, Any]:
    """States of parts by their identifiers; a part without one is new in every write."""
    return {part["id"]: part.get(status) for part in parts or () if isinstance(part.get("id"), str)}


def _check_step(machine: Lifecycle, path: str, before: object, after: object) -> None:
    if before == after:
        return
    if not isinstance(after, str):
        if isinstance(before, str) and machine.spelling_of(before) is not None:
            raise Refused(Code.TRANSITION_REFUSED, f"{path} cannot be removed: it is {_shown(before)}.")
        return
    if machine.spelling_of(after) is None and not machine.is_open:
        refuse([Violation(path, f"must be one of {', '.join(machine.states)}", after)])
    if not isinstance(before, str) or machine.allows(before, after):
        return
    known = machine.spelling_of(before) or before
    successors = machine.successors(known)
    then = f"it can be followed by {', '.join(successors)}" if successors else "it is final"
    raise Refused(
        Code.TRANSITION_REFUSED, f"{path} cannot become {_shown(after)}: it is {_shown(before)}, and {then}."
    )


def _shown(state: str) -> str:
    text = state if len(state) <= VALUE_SHOWN_MAX_CHARS else state[:VALUE_SHOWN_MAX_CHARS] + "…"
    return f"“{text}”"
