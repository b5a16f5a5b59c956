"""Keys of the engine that are to take the places of the present ones, as soon as the ledger names them.

    keys/validator-next.json   the next validator's key: the league votes on giving it the power
    keys/node-next.json        the next key on the network: a statement of the member registers it

    1  the new key is written beside the present one; no engine has it
    2  the ledger names it: a vote passed, or a statement was taken
    3  the engine is stopped, the new key is put in the place of the one before, and the engine is started

There is one file from which an engine reads its validator's key, and no engine runs while it is replaced. So
two keys never sign, whatever is interrupted: the key before signs while the ledger names it, which ends its
power for ever in the block that names the new one. The key before is overwritten: what is not there cannot be
stolen. The memory of what was signed is retained, without the signature of the key before: the new key signs
nothing at or below that height.
"""

from __future__ import annotations

from pathlib import Path

from hansa.core.errors import Fatal
from hansa.core.files import is_missing, sync_folder, write_failure, write_file
from hansa.core.members import Member
from hansa.node.folder import (
    LEDGER,
    NEXT_NODE_KEY,
    NEXT_VALIDATOR_KEY,
    NODE_KEY,
    VALIDATOR_KEY,
    update_card,
)
from hansa.pubsub.engine import EngineKey, read_key, read_signing_state, write_signing_state


def next_validator_key(folder: Path) -> EngineKey:
    """The key that is to take the place of the validator's; the same until the ledger names it.

    Raises:
        Fatal: `Code.SETTINGS_INVALID` or `Code.DISK_FULL`.
    """
    path = folder / NEXT_VALIDATOR_KEY
    if is_missing(path):
        write_file(path, EngineKey.generate().validator_document())
    return read_key(path)


def next_node_key(folder: Path) -> EngineKey:
    """The key that is to take the place of the node's; the same until the ledger names it.

    Raises:
        Fatal: `Code.SETTINGS_INVALID` or `Code.DISK_FULL`.
    """
    path = folder / NEXT_NODE_KEY
    if is_missing(path):
        write_file(path, EngineKey.generate().node_document())
    return read_key(path)


def next_keys_named(folder: Path, me: Member) -> bool:
    """Whether the ledger names a key that is not in its place yet.

    Args:
        folder: Of the marketplace.
        me: Its entry in the registry.
    """
    return _named_validator_key(folder, me) is not None or _named_node_key(folder, me) is not None


def adopt_engine_keys(folder: Path, me: Member) -> None:
    """Put the keys in their places that the ledger names. No engine may be running.

    Args:
        folder: Of the marketplace.
        me: Its entry in the registry.

    Raises:
        Fatal: `Code.SETTINGS_INVALID` or `Code.DISK_FULL`.
    """
    if _named_validator_key(folder, me) is not None:
        _forget_last_signature(folder)
        _put_in_place(folder, NEXT_VALIDATOR_KEY, VALIDATOR_KEY)
        update_card(folder, me)
    node = _named_node_key(folder, me)
    if node is not None:
        _put_in_place(folder, NEXT_NODE_KEY, NODE_KEY)
        update_card(folder, me, node.node_id)


def _named_validator_key(folder: Path, me: Member) -> EngineKey | None:
    key = _read(folder / NEXT_VALIDATOR_KEY)
    return key if key is not None and key.public.hex() == me.validator_key else None


def _named_node_key(folder: Path, me: Member) -> EngineKey | None:
    key = _read(folder / NEXT_NODE_KEY)
    return key if key is not None and key.node_id in me.node_ids else None


def _read(path: Path) -> EngineKey | None:
    """A key that may be there; one that cannot be read is none, and the present one stays."""
    if is_missing(path):
        return None
    try:
        return read_key(path)
    except Fatal:
        return None


def _forget_last_signature(folder: Path) -> None:
    """Retain what was signed last without the signature, which is of the key before.

    An engine that is asked for its last vote again gives the remembered signature; of another key it would be
    worth nothing. Without memory the guard has the validator observe.
    """
    try:
        state = read_signing_state(folder / LEDGER)
    except Fatal:
        return
    write_signing_state(folder / LEDGER, state)


def _put_in_place(folder: Path, path: Path, place: Path) -> None:
    try:
        (folder / path).replace(folder / place)
        sync_folder((folder / place).parent)
        sync_folder((folder / path).parent)
    except OSError as error:
        raise write_failure(folder / place, error) from error
