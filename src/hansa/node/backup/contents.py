"""What of a marketplace's folder is in a backup.

    always       settings, genesis, the keys of the member, of its tokens and of its engine
    if present   card, the operator's token, the store, extension schemas, conditions, anchors, signers of
                 trusted lists, what the verifier has, the keys of an issuer, clients and keys of
                 the OpenID Provider, contents of jobs, what the validator signed last, the
                 secret, keys for key agreement, keys that are to take the places of others
    made anew    the note of a newcomer: with what the ledger begins when the rest is restored
                 (`hansa.node.joining.returning`)
    on request   the ledger: its state and the engine's blocks, which the other members have too

Locks, sockets, logs and caches are not. The store is a copy that SQLite makes; everything else is read as it
is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from hansa.core.errors import Code, Fatal
from hansa.core.files import is_missing, read_failure
from hansa.node.folder import (
    AGREEMENT_KEY,
    ANCHORS,
    CARD,
    CLIENTS,
    FORMER_AGREEMENT_KEY,
    GENESIS,
    ISSUING,
    JOBS,
    JOINING,
    LEDGER,
    LEDGER_STATE,
    LIST_SIGNERS,
    MEMBER_KEY,
    MEMBER_SECRET,
    NEXT_AGREEMENT_KEY,
    NEXT_MEMBER_KEY,
    NEXT_NODE_KEY,
    NEXT_VALIDATOR_KEY,
    NODE_KEY,
    POLICIES,
    PROVIDER_KEYS,
    SCHEMAS,
    STORE,
    TOKEN,
    TOKEN_KEY,
    VALIDATOR_KEY,
    VERIFIER,
)
from hansa.node.settings.loading import FILE_NAME
from hansa.pubsub.engine import SIGNING_STATE

SIGNED: Final = LEDGER / SIGNING_STATE
"""What the validator signed last. It is in a backup as a record, and never put back in place."""
BLOCKS: Final = LEDGER / "data"
REQUIRED: Final = (Path(FILE_NAME), GENESIS, MEMBER_KEY, TOKEN_KEY, NODE_KEY, VALIDATOR_KEY)
OPTIONAL: Final = (
    *(CARD, JOINING, TOKEN, STORE, SIGNED),
    *(NEXT_MEMBER_KEY, NEXT_NODE_KEY, NEXT_VALIDATOR_KEY),
    *(AGREEMENT_KEY, NEXT_AGREEMENT_KEY, FORMER_AGREEMENT_KEY),
    *(MEMBER_SECRET, CLIENTS, PROVIDER_KEYS),
)
TREES: Final = (SCHEMAS, POLICIES, JOBS, ANCHORS, LIST_SIGNERS, VERIFIER, ISSUING)
LEDGER_PARTS: Final = (LEDGER_STATE, BLOCKS)
NOT_BLOCKS: Final = frozenset({SIGNED, BLOCKS / "observer_state.json"})
DATABASES: Final = frozenset({STORE, LEDGER_STATE})
"""Copied by SQLite, with what is in their write-ahead logs."""
EMPTIED_TABLES: Final = ("browser_session", "token_family")
"""Of the store, empty in a backup: nobody is logged in again by a restore who has logged out since."""

PATH_LENGTH_MAX_CHARS: Final = 240
_FILES: Final = frozenset(str(path) for path in (*REQUIRED, *OPTIONAL, LEDGER_STATE))
_FOLDERS: Final = tuple(f"{path}/" for path in (*TREES, BLOCKS))


def files_of(folder: Path, *, has_ledger: bool) -> Iterator[Path]:
    """The files of a folder that belong to a backup, as paths below it.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when one that is needed is missing, or something cannot be read.
    """
    for path in REQUIRED:
        if is_missing(folder / path):
            raise Fatal(
                Code.SETTINGS_INVALID,
                f"{folder / path} is missing: {folder} is not a whole marketplace, and no backup is made of it.",
            )
    yield from REQUIRED
    single = (*OPTIONAL, LEDGER_STATE) if has_ledger else OPTIONAL
    yield from (path for path in single if not is_missing(folder / path))
    for tree in (*TREES, BLOCKS) if has_ledger else TREES:
        yield from (path for path in _regular_files(folder, tree) if path not in NOT_BLOCKS)


def _regular_files(folder: Path, tree: Path) -> Iterator[Path]:
    """Regular files below a part of the folder; unfinished ones, sockets and links are left out."""

    def fail(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise read_failure(folder / tree, error) from error

    for parent, folders, names in os.walk(folder / tree, onerror=fail):
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            if path.is_file() and not path.is_symlink() and not name.endswith(".partial"):
                yield path.relative_to(folder)


def is_restorable(path: str) -> bool:
    """Whether a path of a backup is one that a marketplace's folder has; anything else is not written."""
    if not 0 < len(path) <= PATH_LENGTH_MAX_CHARS or not path.isprintable() or "\\" in path:
        return False
    if str(PurePosixPath(path)) != path or any(part in {".", ".."} for part in path.split("/")):
        return False
    return path in _FILES or (path.startswith(_FOLDERS) and Path(path) not in NOT_BLOCKS)
