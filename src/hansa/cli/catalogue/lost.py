"""Own entities that a store has lost, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hansa.cli.output import Output
from hansa.core.foreign_text import printable
from hansa.store.tables.publications import LostEntity

KEY_SHOWN_CHARS: Final = 16
HEADINGS: Final = ("type", "ledger key", "version", "position", "published")


def lost_table(entities: Sequence[LostEntity], output: Output, title: str = "") -> None:
    """Write what the ledger says of entities that are lost."""
    output.table(
        HEADINGS,
        [
            [
                *(printable(one.type), f"{one.key[:KEY_SHOWN_CHARS]}…", str(one.version)),
                *(str(one.position), printable(one.time)),
            ]
            for one in entities
        ],
        title,
    )
