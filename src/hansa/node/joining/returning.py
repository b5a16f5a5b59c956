"""With what a marketplace begins that is restored from a backup without its ledger: the note of a newcomer.

A backup has it (`joining.json`), written anew from the ledger as it is when the backup is made: the endpoints
of the other members, and the newest block whose header this member retains. From that block on the restored
engine verifies what it gets, so it begins with a snapshot of the others, as a newcomer's does, as long as the
block is not older than the trust period. Later it begins with their blocks, from the first on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import structlog

from hansa.core.clock import rfc3339_at
from hansa.core.errors import HansaError
from hansa.core.files import is_missing
from hansa.node.folder import LEDGER_STATE, LIGHT_BLOCKS
from hansa.node.joining.mark import Joining, read_joining
from hansa.pubsub.ledger.reading import LedgerFile
from hansa.pubsub.light.captured import CapturedBlocks

_NS_PER_S: Final = 1_000_000_000

log = structlog.get_logger("hansa.node")


def joining_when_restored(folder: Path, did: str) -> Joining | None:
    """The note for a backup of a folder, whose marketplace may run meanwhile.

    Args:
        folder: The marketplace's.
        did: Of the marketplace.

    Returns the one that is there, if any, while the ledger has no block that can be trusted.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when the note that is there is damaged.
    """
    before = read_joining(folder)
    if is_missing(folder / LEDGER_STATE) or is_missing(folder / LIGHT_BLOCKS):
        return before
    try:
        endpoints = _endpoints(folder / LEDGER_STATE, did)
        trusted = _newest(folder / LIGHT_BLOCKS)
    except HansaError as error:  # a backup of the rest is worth more than none
        log.warning("trusted_block_unknown", reason=error.message)
        return before
    if trusted is None or not endpoints:
        return before
    time_s, height, digest = trusted
    return Joining(
        *(rfc3339_at(time_s), endpoints, height, digest),
        is_observer=before is not None and before.is_observer,
    )


def _endpoints(state: Path, did: str) -> tuple[str, ...]:
    """Of the other active members."""
    file = LedgerFile(state, lambda: None)
    try:
        with file.reader() as reader:
            members = reader.members()
    finally:
        file.close()
    return tuple(one.endpoint for one in members if one.did != did and one.status == "active")


def _newest(light_blocks: Path) -> tuple[int, int, str] | None:
    """Time (seconds since 1970), height and hash of the newest block that is retained."""
    blocks = CapturedBlocks(light_blocks)
    try:
        newest = blocks.newest()
    finally:
        blocks.close()
    if newest is None:
        return None
    header = newest.header
    return header.time_ns // _NS_PER_S, header.height, header.hash.hex().upper()
