"""Where own entities are seen: which marketplace holds which version, and why another one does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from hansa.portal.providers.offers.elsewhere.sights import MemberSight, SightState
from hansa.portal.providers.offers.own import OwnEntity

SEEN_WAIT_S: Final = 3.0
GLANCE_WAIT_S: Final = 0.7
"""For what stands on another page beside."""
GLANCED_MAX: Final = 25


class SeenPage(msgspec.Struct, frozen=True):
    """For the template `providers/seen.html`."""

    entity: OwnEntity
    sights: tuple[MemberSight, ...]
    """Of each other member; none: it is not on the ledger."""

    @property
    def current(self) -> int:
        """How many hold the newest version."""
        return sum(1 for one in self.sights if one.state == "current")


class MemberSummary(msgspec.Struct, frozen=True):
    """How a member is with several own entities."""

    name: str
    current: int
    """Of which it holds the newest version."""
    all: int
    state: SightState
    """Of the others, what is most frequent; `current`: there are none."""
    code: str
    """The reason with that."""
    example: str
    """Identifier of one of them; empty: there is none."""


def member_summaries(sights: Mapping[str, Iterable[MemberSight]]) -> tuple[MemberSummary, ...]:
    """How each member is with some entities, by identifier; in the order of the members."""
    by_member: dict[str, list[tuple[str, MemberSight]]] = {}
    for entity_id, each in sights.items():
        for one in each:
            by_member.setdefault(one.did, []).append((entity_id, one))
    summaries: list[MemberSummary] = []
    for seen in by_member.values():
        others = [(entity_id, one) for entity_id, one in seen if one.state != "current"]
        state: SightState = "current"
        if others:
            state = Counter(one.state for _, one in others).most_common(1)[0][0]
        example = next(((entity_id, one.code) for entity_id, one in others if one.state == state), ("", ""))
        name = seen[0][1].name
        summaries.append(
            MemberSummary(name, len(seen) - len(others), len(seen), state, example[1], example[0])
        )
    return tuple(summaries)
