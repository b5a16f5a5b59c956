"""The keys of this marketplace that open what others seal for it, as they are in its folder.

They are read when the marketplace starts, and again as soon as another one is in the folder: that is so
before the ledger knows of it, and nothing that is sealed for it is missed.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from hansa.core.confidential.agreement import AgreementKey
from hansa.core.errors import Fatal
from hansa.core.members import Member
from hansa.node.folder import AGREEMENT_KEY, adopt_agreement_key, agreement_keys


class OwnAgreementKeys:
    """The keys in a folder; a `hansa.replication.confidential.recognition.AgreementKeys`.

    Args:
        folder: Of the marketplace.
        did: Of the marketplace.
        logger: Gets what is wrong with the keys.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when a key cannot be read.
    """

    def __init__(self, folder: Path, did: str, logger: FilteringBoundLogger) -> None:
        self._folder = folder
        self._did = did
        self._logger = logger
        self._registered = ""
        self._changed_ns = self._folder_changed_ns()
        self._keys = agreement_keys(folder)

    def __call__(self) -> tuple[AgreementKey, ...]:
        """The keys that open events."""
        changed_ns = self._folder_changed_ns()
        if changed_ns != self._changed_ns:
            self._changed_ns = changed_ns
            self._read()
        return self._keys

    def note_members(self, members: Iterable[Member]) -> None:
        """Take note of the registry: others may seal for another key."""
        me = next((one for one in members if one.did == self._did), None)
        if me is None or me.agreement_key == self._registered:
            return
        try:
            adopt_agreement_key(self._folder, me)
        except Fatal as error:
            self._logger.error("agreement_key_unusable", reason=error.message)
            return
        self._read()
        self._registered = me.agreement_key
        if me.agreement_key and all(key.public != me.agreement_key for key in self._keys):
            self._logger.error("agreement_key_missing", registered=me.agreement_key)

    def _read(self) -> None:
        """Read the keys; those that were read before stay when that fails."""
        try:
            self._keys = agreement_keys(self._folder)
        except Fatal as error:
            self._logger.error("agreement_key_unusable", reason=error.message)

    def _folder_changed_ns(self) -> int:
        """When a file was put into the folder of the keys, or renamed there."""
        try:
            return (self._folder / AGREEMENT_KEY).parent.stat().st_mtime_ns
        except OSError:
            return 0
