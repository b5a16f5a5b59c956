"""What a change of a proposal means, in plain words: what there is now, and what there would be.

What a decided proposal was written against is not known any more, so its texts say what was to be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from hansa.core.errors import Refused
from hansa.core.governance.changes import (
    MemberPut,
    MemberStatusChange,
    ParamSet,
    Suspension,
    ValidatorPower,
)
from hansa.core.governance.forms import LeagueChange
from hansa.core.governance.possession import CANDIDACY
from hansa.core.members import Member
from hansa.pubsub.league.state import LeagueState
from hansa.pubsub.ledger.rules.changes import describe_change, touched_elements
from hansa.pubsub.ledger.rules.changes.elements import base_of as elements_of

NOTHING: Final = "nothing"


class ChangeText(msgspec.Struct, frozen=True):
    """One change of a proposal, in words."""

    change: str
    """Kind of the change, as `member.put`."""
    subject: str
    """What is changed: a member, a limit."""
    old: str
    """What there is now; empty when the proposal is decided."""
    new: str
    """What there would be."""
    text: str
    """The change in a sentence."""


def describe(change: LeagueChange, state: LeagueState) -> ChangeText:
    """What a change would do to the league as it is."""
    write = _TEXTS.get(change.kind, _further)
    subject, old, new, text = write(change, state)
    return ChangeText(change.kind, subject, old, new, text)


_Words = tuple[str, str, str, str]


def named(did: str, state: LeagueState) -> str:
    """A member by its name and the end of its DID; a stranger by its DID."""
    member = state.member(did)
    return did if member is None else f"{member.name} (…{did[-8:]})"


def duration(seconds: int) -> str:
    """A duration in the largest unit that divides it."""
    for unit_s, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit_s and seconds % unit_s == 0:
            return f"{seconds // unit_s} {unit}"
    return f"{seconds} s"


def _member_put(change: MemberPut, state: LeagueState) -> _Words:
    try:
        candidacy = CANDIDACY.read(change.candidacy)[0]
    except Refused:
        return (
            "a member",
            NOTHING,
            "an unreadable candidacy",
            "Admit somebody whose candidacy cannot be read.",
        )
    before = state.member(candidacy.did)
    prefixes = f", prefixes {', '.join(change.prefixes)}" if change.prefixes else ""
    new = f"{candidacy.endpoint}, {_count(candidacy.keys, 'key')}, voting power {change.power}{prefixes}"
    if before is None:
        text = f"Admit {candidacy.name} ({candidacy.did}) with voting power {change.power}."
        return candidacy.name, NOTHING, new, text
    text = f"Register {named(candidacy.did, state)} anew with the keys and the endpoint of its candidacy."
    return candidacy.name, _member_now(before), new, text


def describe_decided(change: LeagueChange, state: LeagueState) -> ChangeText:
    """What a change of a proposal that is decided was to do; `old` is empty."""
    described = describe(change, state)
    text = described.text
    match change:
        case MemberPut():
            text = f"Admit {described.subject} with voting power {change.power}."
        case ValidatorPower():
            key = " and another validator key" if change.validator else ""
            text = f"Give {described.subject} voting power {change.power}{key}."
        case ParamSet():
            text = f"Set {change.name} to {change.value:,}."
    return msgspec.structs.replace(described, old="", text=text)


def _count(things: tuple[Any, ...], what: str) -> str:
    return f"{len(things)} {what}{'' if len(things) == 1 else 's'}"


def _member_now(member: Member) -> str:
    return f"{member.endpoint}, {_count(member.keys, 'key')}, voting power {member.power}"


_STATUS_TEXTS: Final = {
    "active": "Let {} publish again.",
    "suspended": "Suspend {}: it may publish nothing until a vote makes it active; its voting power stays.",
    "removed": "Remove {} from the league, for ever: it neither publishes nor votes, and its keys are worth nothing.",
}


def _member_status(change: MemberStatusChange, state: LeagueState) -> _Words:
    before = state.member(change.did)
    name = named(change.did, state)
    text = _STATUS_TEXTS[change.status].format(name)
    return name, "no member" if before is None else before.status, change.status, text


def _suspension(change: Suspension, state: LeagueState) -> _Words:
    before = state.member(change.did)
    name, lasts = named(change.did, state), duration(change.duration_s)
    text = f"Emergency: {name} may publish nothing for {lasts}. It ends by itself; its voting power stays."
    return name, "no member" if before is None else before.status, f"may not publish for {lasts}", text


def _power(change: ValidatorPower, state: LeagueState) -> _Words:
    before = state.member(change.did)
    name, power = named(change.did, state), 0 if before is None else before.power
    key = " and another validator key" if change.validator else ""
    total = state.total_power - power + change.power
    share = f" ({100 * change.power / total:.0f} % of {total})" if total > 0 else ""
    text = f"Give {name} voting power {change.power}{share} instead of {power}{key}."
    return name, f"voting power {power}", f"voting power {change.power}{key}", text


def _param(change: ParamSet, state: LeagueState) -> _Words:
    before = getattr(state.params, change.name, None)
    old = "no such limit" if before is None else f"{before:,}"
    text = f"Set {change.name} to {change.value:,}; it is {old}."
    return change.name, old, f"{change.value:,}", text


def _further(change: LeagueChange, state: LeagueState) -> _Words:
    """A kind whose rules have the words, and whose fields say what there would be."""
    fields = msgspec.to_builtins(change)
    fields.pop("change", None)
    shown = ", ".join(f"{name} {_short(value)}" for name, value in fields.items()) or "nothing"
    elements = [one.element for one in elements_of(state, touched_elements([change])) if one.hash]
    old = f"{', '.join(elements)} as the ledger has it" if elements else NOTHING
    return change.kind, old, shown, describe_change(state, change)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 80 else f"{text[:60]}… ({len(text):,} characters)"


_TEXTS: Final[Mapping[str, Callable[[Any, LeagueState], _Words]]] = MappingProxyType(
    {
        "member.put": _member_put,
        "member.status": _member_status,
        "param.set": _param,
        "suspension": _suspension,
        "validator.power": _power,
    }
)
