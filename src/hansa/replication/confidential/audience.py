"""For whom an own entity is that is not for everybody.

| entity | goes to |
|---|---|
| of a confidential type | the members that its parties have as operators |
| of a catalogue type with others in `visibleTo` | these members, and those of these countries |

Parties are explained in `hansa.core.parties`. The operator of one is the member of its DID, or the one that
the operator of this marketplace has set for it (`party_operators`); of any other there is none. Who reads
this marketplace's orders is for this marketplace to say, so no statement of another member makes it the
operator of a party.

What cannot be sent is said with the entity: a party without an operator, a member without a key for key
agreement, and an identifier that is not this marketplace's own. An identifier that a client has chosen would
have to be claimed on the ledger, where everybody could read that it exists.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

import msgspec

from hansa.core import parties
from hansa.core.events import CONFIDENTIAL
from hansa.core.identifiers import is_bound_to
from hansa.core.members import Member, country_of, prefix_owner
from hansa.core.visibility import is_mentioned, visibility_of
from hansa.replication.conditions.policy import DistributionPolicy, PublishedPart
from hansa.replication.conditions.unmet import Unmet
from hansa.store import Entity


class ConfidentialTypes(Protocol):
    """Which types are confidential, and when an entity of a catalogue type may leave its marketplace."""

    @property
    def types(self) -> frozenset[str]:
        """The confidential types."""

    def is_ready(self, entity: Entity) -> bool:
        """Whether an entity of a catalogue type is in a state in which others may see it."""


class Addressed(msgspec.Struct, frozen=True):
    """What of an own entity goes to whom."""

    part: Entity | None
    """None: nothing goes to anybody."""
    members: tuple[Member, ...] = ()
    """Without this one; each has a key for key agreement."""
    problem: str | None = None
    """Why not everybody gets it for whom it is."""

    @property
    def audience(self) -> tuple[str, ...]:
        """The members with the keys for which it is sealed, sorted."""
        return tuple(sorted(f"{one.did} {one.agreement_key}" for one in self.members))


NOBODY: Final = Addressed(None)


class Audiences:
    """Finds out for whom own entities are.

    Args:
        policy: What of an entity of a catalogue type leaves this marketplace.
        confidential: The types.
        members: The league's, as they are known.
        party_operators: By DID of a party, the DID of the member that is its operator.
    """

    def __init__(
        self,
        policy: DistributionPolicy,
        confidential: ConfidentialTypes,
        members: Callable[[], Iterable[Member]],
        party_operators: Mapping[str, str],
    ) -> None:
        self._policy = policy
        self._confidential = confidential
        self._members = members
        self._party_operators = party_operators
        self._rule: tuple[object, str] | None = None

    @property
    def types(self) -> frozenset[str]:
        """All types of which entities can be for some members alone."""
        return self._confidential.types | self._policy.types

    def is_confidential(self, type_name: str) -> bool:
        """Whether entities of a type are for the operators of their parties."""
        return type_name in self._confidential.types

    def registered_keys(self) -> Mapping[str, str]:
        """The keys of the members for key agreement, by their DIDs."""
        return {one.did: one.agreement_key for one in self._members()}

    def rule(self) -> str:
        """Digest of all on which audiences depend beside the entities themselves."""
        members = tuple(self._members())
        named = members, self._policy.publish_rule
        if self._rule is None or self._rule[0] != named:
            facts = [
                *((one.did, one.agreement_key, country_of(one), one.is_current) for one in members),
                *sorted(self._party_operators.items()),
                (CONFIDENTIAL, self._policy.publish_rule, sorted(self._confidential.types)),
            ]
            self._rule = named, hashlib.sha256(msgspec.json.encode(facts)).hexdigest()
        return self._rule[1]

    def is_named_by(self, entity: Entity) -> bool:
        """Whether an own entity may say for whom it is; most do not mention it, and are not decoded."""
        if entity.origin is not None:
            return False
        if entity.type in self._confidential.types:
            return parties.is_mentioned(entity.body)
        return entity.type in self._policy.types and is_mentioned(entity.body)

    def of(self, entity: Entity) -> Addressed | None:
        """What of an own entity goes to whom; None: it is none that is for some members alone."""
        if entity.origin is not None:
            return None
        if self.is_confidential(entity.type):
            return self._of_parties(entity)
        if entity.type not in self._policy.types:
            return None
        visibility = visibility_of(entity.body)
        if visibility.audience != "chosen":
            return None
        part = self._policy.shares(entity)
        if isinstance(part, Unmet) or not self._confidential.is_ready(entity):
            return Addressed(None, problem=part.reason if isinstance(part, Unmet) else None)
        chosen = [
            one
            for one in self._current()
            if one.did in visibility.members or country_of(one) in visibility.countries
        ]
        strangers = visibility.members.difference(one.did for one in (*chosen, *self._own()))
        missing = f"No member has the DID {min(strangers)}." if strangers else None
        return self._addressed(part, chosen, missing)

    def part_for(self, member: str, entity: Entity) -> Entity | None:
        """What of an entity that is here a member gets, with everybody or as a recipient; None: nothing.

        Args:
            member: DID of another member.
            entity: Ours, or a replica.
        """
        part = self._policy.may_retrieve(member, entity)
        if part is not None or not self.is_named_by(entity):
            return part
        addressed = self.of(entity)
        if addressed is None or all(one.did != member for one in addressed.members):
            return None
        return addressed.part

    def _of_parties(self, entity: Entity) -> Addressed | None:
        named = parties.parties_of(entity.body)
        if not named:
            return None
        current = {one.did: one for one in self._current()}
        members: dict[str, Member] = {}
        unknown: list[str] = []
        for dids in named:
            operators = {self._party_operators.get(did, did) for did in dids}
            known = [current[did] for did in operators if did in current]
            members |= {one.did: one for one in known}
            if not known and self._policy.did not in operators:
                unknown += dids[:1] or ["one without a DID"]
        problem = f"A party has no operator in this league: {unknown[0]}." if unknown else None
        return self._addressed(PublishedPart(entity), list(members.values()), problem)

    def _addressed(self, part: PublishedPart, members: list[Member], problem: str | None) -> Addressed:
        keyless = [one for one in members if not one.agreement_key]
        if keyless:
            problem = f"{keyless[0].did} has no key for key agreement; nothing can be sealed for it."
        entity = part.entity
        if members and not self._is_own(entity):
            reason = "Its identifier was chosen by a client, and cannot be claimed without everybody reading of it."
            return Addressed(None, problem=reason)
        able = tuple(one for one in members if one.agreement_key)
        return Addressed(entity if able else None, able, problem)

    def _is_own(self, entity: Entity) -> bool:
        """Whether the identifier of an entity is this marketplace's own without a claim."""
        owner = prefix_owner(self._members(), entity.id)
        is_of_prefix = owner is not None and owner.did == self._policy.did
        return is_of_prefix or is_bound_to(entity.id, self._policy.did, entity.nonce)

    def _current(self) -> Iterable[Member]:
        """The other members, suspended ones too: they read."""
        return (one for one in self._members() if one.is_current and one.did != self._policy.did)

    def _own(self) -> Iterable[Member]:
        return (one for one in self._members() if one.did == self._policy.did)
