"""State machines: the states of an entity, and the transitions between them, as `states.toml` defines them.

    [productOrder]                           # the name by which models refer to it
    initial = ["acknowledged"]               # where an entity usually begins
    open = true                              # the document enumerates no states; left out: it does
    public = ["release"]                     # of a catalogue type: public beside Launched, Retired, Obsolete
    items = [{ path = "productOrderItem", status = "state", lifecycle = "productOrderItem" }]
    next.acknowledged = ["inProgress"]       # the successors of each state; a final one has none
    next.inProgress = ["completed"]
    next.completed = []

    [serviceOrder]
    like = "productOrder"                    # states and successors of another machine

States are compared without regard to case and separators: documents, and their users, write `In Study`,
`In study` and `IN_STUDY`.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

import msgspec

from hansa.business.models.fixed_structs import FixedStruct
from hansa.core.errors import Code, Fatal
from hansa.core.known_words import folded

FILE_NAME: Final = "states.toml"
NEAR_MAX_CHARS: Final = 60
NEAR_RATIO: Final = 0.7
"""How alike two words are when one is taken for a misspelling of the other (`difflib`)."""


class Items(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parts of an entity that have states of their own, as the items of an order."""

    path: str
    """Attribute of the entity that holds the array of parts."""
    status: str
    """Attribute of a part that holds its state."""
    lifecycle: str
    """Name of the state machine that it follows."""


class Lifecycle(FixedStruct, frozen=True):
    """A state machine."""

    name: str
    initial: tuple[str, ...]
    """States in which an entity usually begins. An imported entity may begin in any."""
    next: Mapping[str, tuple[str, ...]]
    """By state, the states that may follow it."""
    is_open: bool = False
    """States that are not listed are possible too: the document enumerates none."""
    items: tuple[Items, ...] = ()
    public: tuple[str, ...] = ()
    """States in which a catalogue entity is public, beside those of every catalogue; spelt exactly so."""

    @property
    def states(self) -> tuple[str, ...]:
        """All states, in the order of the file."""
        return tuple(self.next)

    def spelling_of(self, state: str) -> str | None:
        """The state as the machine spells it; None for an unknown state."""
        if state in self.next:
            return state
        normalized = folded(state)
        return next((one for one in self.next if folded(one) == normalized), None)

    def nearest(self, state: str) -> str | None:
        """The state that an unknown word most likely means; None when it resembles none."""
        by_spelling = {folded(one): one for one in self.next}
        near = difflib.get_close_matches(folded(state)[:NEAR_MAX_CHARS], by_spelling, n=1, cutoff=NEAR_RATIO)
        return by_spelling[near[0]] if near else None

    def successors(self, state: str) -> tuple[str, ...]:
        """States that may follow a state, which is spelt as the machine does."""
        return self.next[state]

    def is_final(self, state: str) -> bool:
        """Whether a state is known and has no successors."""
        known = self.spelling_of(state)
        return known is not None and not self.next[known]

    def allows(self, before: str, after: str) -> bool:
        """Whether an entity may go from one state to another; staying is always possible.

        A state that the machine does not know may be followed by every state. Where the machine is open, it
        may follow every state but a final one.
        """
        known_before, known_after = self.spelling_of(before), self.spelling_of(after)
        if before == after or (known_before is not None and known_before == known_after):
            return True
        if known_before is None:
            return True
        successors = self.next[known_before]
        if known_after is None:
            return self.is_open and bool(successors)
        return known_after in successors


class _LifecycleForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    initial: tuple[str, ...] = ()
    open: bool = False
    like: str | None = None
    items: tuple[Items, ...] = ()
    public: tuple[str, ...] = ()
    next: dict[str, tuple[str, ...]] = {}


def load_lifecycles() -> Mapping[str, Lifecycle]:
    """The state machines, by name.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when one is not in the form or refers to a state that it does not
            have.
    """
    return lifecycles(files(__package__).joinpath(FILE_NAME).read_text(encoding="utf-8"))


def lifecycles(text: str) -> Mapping[str, Lifecycle]:
    """State machines from the text of a file.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`.
    """
    try:
        forms = msgspec.convert(tomllib.loads(text), dict[str, _LifecycleForm])
        machines = {name: _lifecycle(name, form, forms) for name, form in forms.items()}
        for machine in machines.values():
            _check(machine, machines)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, ValueError) as error:
        raise Fatal(Code.SETTINGS_INVALID, f"{FILE_NAME} holds no state machines: {error}") from error
    return machines


def _lifecycle(name: str, form: _LifecycleForm, forms: Mapping[str, _LifecycleForm]) -> Lifecycle:
    base = form
    if form.like is not None:
        if form.like not in forms or forms[form.like].like is not None:
            raise ValueError(f"{name} is like {form.like!r}, which is no machine with states of its own")
        base = forms[form.like]
    successors = {**base.next, **form.next}
    return Lifecycle(name, form.initial or base.initial, successors, form.open, form.items, form.public)


def _check(machine: Lifecycle, machines: Mapping[str, Lifecycle]) -> None:
    if not machine.next or not machine.initial:
        raise ValueError(f"{machine.name} needs states, and one to begin in")
    mentioned = {
        *machine.initial,
        *machine.public,
        *(state for states in machine.next.values() for state in states),
    }
    if unknown := mentioned - machine.next.keys():
        raise ValueError(
            f"{machine.name} refers to states that it does not have: {', '.join(sorted(unknown))}"
        )
    if len({folded(state) for state in machine.next}) < len(machine.next):
        raise ValueError(f"{machine.name} has a state twice")
    for items in machine.items:
        if items.lifecycle not in machines:
            raise ValueError(f"{machine.name}.{items.path} follows {items.lifecycle!r}, which is no machine")
