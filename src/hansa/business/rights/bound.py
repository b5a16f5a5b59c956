"""A rule about entities with what it needs to be asked: checks of entities, and the condition of lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from hansa.core.access import AccessRefusal, AccessTarget, EntityFacts, EntityRule, ReadReach
from hansa.core.errors import Refused
from hansa.core.work import Checkpoint
from hansa.store import AllOf, AnyOf, Condition, Entity, Filter, IsPublic, Test

TEST_NAME: Final = "access policies"


class BoundRule(msgspec.Struct, frozen=True):
    """An `EntityRule` for one caller and one collection."""

    rule: EntityRule
    target: AccessTarget
    aliases: frozenset[str]
    """What the caller's organisation is called here."""

    def refusal(self, fields: Mapping[str, Any], *, is_public: bool) -> AccessRefusal | None:
        """Why the caller may not do it with an entity."""
        return self.rule.refusal(EntityFacts(fields, is_public), self.aliases)

    def check(self, fields: Mapping[str, Any], *, is_public: bool) -> None:
        """Refuse what the caller may not do.

        Raises:
            Refused: `Code.NOT_FOUND`, `Code.FORBIDDEN` or `Code.POWER_MISSING`.
        """
        refusal = self.refusal(fields, is_public=is_public)
        if refusal is not None:
            raise Refused(refusal.code, refusal.reason)

    def admits_facts(self, facts: EntityFacts) -> bool:
        """Whether the caller may do it with an entity of which some is known."""
        return self.rule.refusal(facts, self.aliases) is None

    def admits(self, entity: Entity) -> bool:
        """Whether the caller may do it with an entity."""
        return self.refusal(msgspec.json.decode(entity.body), is_public=entity.public) is None

    def sees_private_part(self, body: bytes) -> bool:
        """Whether the caller sees the private attributes of an entity that it may read."""
        return self.rule.is_of_caller(EntityFacts(msgspec.json.decode(body), False), self.aliases)

    def reach(self) -> ReadReach:
        """What of a list the caller may read."""
        return self.rule.reach(self.aliases)


def condition_of(reach: ReadReach, target: AccessTarget) -> Condition:
    """What a caller may read as a condition of a list."""
    alternatives: list[Condition] = [IsPublic()] if reach.public else []
    if reach.parties:
        for name in target.party_attributes:
            alternatives += (Filter((name, "id"), reach.parties), Filter((name, "name"), reach.names))
    if reach.holds is None:
        return AnyOf(tuple(alternatives))
    halves = (True,) if reach.public_only else (True, False)
    tested = AnyOf(tuple(_tested(reach.holds, is_public=half) for half in halves))
    return tested if reach.has_other_permits else AllOf((AnyOf(tuple(alternatives)), tested))


def _tested(decides: Callable[[Mapping[str, Any], bool], bool], *, is_public: bool) -> Condition:
    def holds(entity: Any, checkpoint: Checkpoint) -> bool:
        checkpoint()
        return decides(entity, is_public)

    return AllOf((IsPublic(is_public), Test(TEST_NAME, holds)))
