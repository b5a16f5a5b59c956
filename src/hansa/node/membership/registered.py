"""Who is registered with the league, as the folder of a marketplace has it, running or not.

The genesis names those who founded the league. Whoever came or left since is named by the ledger alone, so a
question such as "is this a league of one" is put to the ledger first.
"""

from __future__ import annotations

from pathlib import Path

from hansa.core.errors import Unavailable
from hansa.core.members import Member
from hansa.node.folder import LEDGER_STATE, GenesisDocument
from hansa.node.settings.loading import Settings
from hansa.pubsub.ledger.reading import LedgerFile


def registered_members(folder: Path) -> tuple[Member, ...]:
    """The members, as the ledger in the folder has them; nobody when it has not begun or cannot be read."""
    file = LedgerFile(folder / LEDGER_STATE, lambda: None)
    try:
        with file.reader() as reader:
            return reader.members()
    except Unavailable:
        return ()  # whoever needs the ledger reports what is wrong with it
    finally:
        file.close()


def has_other_members(folder: Path, settings: Settings, genesis: GenesisDocument) -> bool:
    """Whether the league has another member now, who has the same ledger.

    Where the ledger cannot be read, peers in the settings and founders in the genesis tell.
    """
    registered = registered_members(folder)
    if not registered and settings.persistent_peers:
        return True
    members = registered or genesis.app_state.members
    return any(one.is_current and one.did != settings.did for one in members)
