"""All trees under `app_hash` together, and what a block changes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from hansa.core.merkle import Frontier
from hansa.pubsub.ledger.commitments.app_hash import Sections, counted, events_section, record_sections
from hansa.pubsub.ledger.commitments.claims import ClaimsTree, ClaimsUpdate
from hansa.pubsub.ledger.commitments.records import RecordsUpdate, RecordTree
from hansa.pubsub.ledger.commitments.tiles import TileEdge, TilesUpdate, appended
from hansa.pubsub.ledger_records import Claim

REGISTRY: Final = "registry"
ISSUERS: Final = "issuers"
VALIDATORS: Final = "validators"
MISBEHAVIOR: Final = "misbehavior"

Records = Mapping[str, Mapping[str, bytes | None]]
"""Stored bytes by section and key; None: removed."""


class TreesUpdate(msgspec.Struct, frozen=True):
    """What a block changes; not part of the trees yet."""

    sections: Sections
    """After the block."""
    tiles: TilesUpdate
    claims: ClaimsUpdate
    records: Records
    """Those that are new or changed."""
    record_trees: Mapping[str, RecordsUpdate]


class StateTrees:
    """The trees of one state.

    Args:
        ruleset: Name of the rule set that judges.
        parameters: The limits of the league, as they are stored.
        edge: Of the events' tiles.
        claims: The tree over all claims.
        records: Every record of the sections that have them.
    """

    def __init__(
        self,
        ruleset: str,
        parameters: bytes,
        edge: TileEdge,
        claims: ClaimsTree,
        records: Mapping[str, Mapping[str, bytes]],
    ) -> None:
        self.claims = claims
        self.edge = edge
        self._records = {name: record_tree(name, records.get(name, {})) for name in record_sections(ruleset)}
        self.sections = Sections(
            {
                "ruleset": ruleset.encode("ascii"),
                "events": events_section(edge.frontier()),
                "claims": claims.root,
                "parameters": parameters,
                **{name: counted(tree.count, tree.root) for name, tree in self._records.items()},
            }
        )

    @classmethod
    def empty(cls, ruleset: str, parameters: bytes) -> StateTrees:
        """Those of a ledger without members."""
        return cls(ruleset, parameters, TileEdge(), ClaimsTree({}, lambda _: ()), {})

    def updated(
        self,
        tree: Frontier,
        leaves: Sequence[bytes],
        claims: Sequence[Claim],
        records: Records,
        replaced: Mapping[str, bytes],
    ) -> TreesUpdate:
        """What changes; the trees stay as they are.

        Args:
            tree: That over the events, with the new ones.
            leaves: Hashes of the leaves of the new events.
            claims: Those that are new or changed.
            records: Those that are new, changed or removed.
            replaced: New contents of the sections `ruleset` and `parameters`.
        """
        assert tree.size == self.edge.size + len(leaves), "every event has a leaf"
        tiles = appended(self.edge, leaves)
        claims_update = self.claims.updated(claims)
        contents = dict(replaced)
        trees = self._records
        if "ruleset" in replaced:
            trees = self._trees_under(replaced["ruleset"].decode("ascii"))
            contents |= {name: counted(tree.count, tree.root) for name, tree in trees.items()}
        record_trees = {name: trees[name].updated(changed) for name, changed in records.items()}
        contents |= {name: counted(update.count, update.root) for name, update in record_trees.items()}
        if leaves or claims:
            contents |= {"events": events_section(tree), "claims": claims_update.levels.root}
        sections = self.sections.replaced(contents) if contents else self.sections
        return TreesUpdate(sections, tiles, claims_update, records, record_trees)

    def apply(self, update: TreesUpdate) -> None:
        """Make an update of these trees a part of them."""
        self.edge = update.tiles.edge
        self.claims.apply(update.claims)
        if update.sections.ruleset != self.sections.ruleset:
            self._records = self._trees_under(update.sections.ruleset)
        for name, changed in update.record_trees.items():
            self._records[name].apply(changed)
        self.sections = update.sections

    def _trees_under(self, ruleset: str) -> dict[str, RecordTree]:
        """The trees of records under another rule set: those that are there, and empty ones."""
        return {name: self._records.get(name) or record_tree(name, {}) for name in record_sections(ruleset)}


def record_tree(section: str, records: Mapping[str, bytes]) -> RecordTree:
    """The tree over the records of a section.

    Those of the first sections name their keys themselves. Of all others the keys are hashed too, so that
    nobody can give a record another one.
    """
    return RecordTree(records, has_keys=section not in {REGISTRY, ISSUERS, VALIDATORS, MISBEHAVIOR})
