"""What the members of a league have decided, after one block: read to propose, to vote and to explain.

It is a view of the ledger's state without events and claims, whole and immutable, so that everything that is
said about a proposal is said of one moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from hansa.core.members import Member
from hansa.pubsub.ledger.genesis import LedgerParams

if TYPE_CHECKING:
    from hansa.pubsub.ledger.commitments.stored import ValidatorRecord

NOT_OF_LEAGUE: Final = frozenset({"events", "claims", "issuers", "misbehavior"})
"""Sections that are no part of a `LeagueState`."""
TYPED: Final = frozenset({"ruleset", "registry", "validators", "parameters"})
"""Sections that are fields of it, each with a type of its own."""


class RegistryState(NamedTuple):
    """The registry after one block, and the limits that hold from then on."""

    members: tuple[Member, ...]
    params: LedgerParams


class LeagueState(msgspec.Struct, frozen=True):
    """The league after a block."""

    height: int
    time_ms: int
    """Of the block, milliseconds since 1970."""
    ruleset: str
    """Name of the rules that judge."""
    members: tuple[Member, ...]
    """Ordered by DID."""
    params: LedgerParams
    validators: Mapping[str, ValidatorRecord]
    """Every validator since the genesis, by its address."""
    sections: Mapping[str, Mapping[str, bytes]]
    """The records of the sections of governance, by key, as they are stored."""

    def member(self, did: str) -> Member | None:
        """The member with that DID."""
        return next((one for one in self.members if one.did == did), None)

    def record(self, section: str, key: str) -> bytes | None:
        """A record of a section."""
        return self.records(section).get(key)

    def records(self, section: str) -> Mapping[str, bytes]:
        """All records of a section, in the order of their keys."""
        return self.sections.get(section) or MappingProxyType({})

    @property
    def total_power(self) -> int:
        """Voting power of all validators."""
        return sum(one.power for one in self.validators.values())
