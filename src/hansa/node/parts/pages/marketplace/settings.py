"""The settings, clients and keys of the marketplace, as the pages of operators show them."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from hansa.core.clock import rfc3339
from hansa.identity.provider.clients.registry import read_clients
from hansa.node.folder import CLIENTS, MEMBER_KEY
from hansa.node.settings.loading import Settings
from hansa.node.settings.schema import SCHEMA
from hansa.node.settings.sources import source_of, value_of
from hansa.node.settings.toml import toml_value
from hansa.portal.operators.marketplace.settings import ClientRow, KeyRow, SettingRow
from hansa.replication.registry import MemberRegistry

HIDDEN: Final = "…"
KEY_FILES_MAX: Final = 50
_USER: Final = re.compile(r"(?<=://)[^/@\"\s]+(?=@)")
"""Name and password in an address."""


class SettingsInForce:
    """The `SettingsReads` of the pages.

    Args:
        settings: In force.
        registry: Has the own keys.
    """

    def __init__(self, settings: Settings, registry: MemberRegistry) -> None:
        self._did = settings.did
        self._registry = registry
        rows = []
        for one in SCHEMA:
            value = value_of(settings, one)
            rows.append(
                SettingRow(
                    key=one.key,
                    value=_USER.sub(HIDDEN, toml_value(value)),
                    default="" if one.default is None else toml_value(one.default),
                    source=source_of(one, settings.file_keys, settings.environment_keys),
                    variable=one.variable,
                    meaning=one.meaning,
                )
            )
        self._rows = tuple(rows)

    def settings(self) -> tuple[SettingRow, ...]:
        """See `SettingsReads`, as for what follows."""
        return self._rows

    async def clients(self) -> tuple[ClientRow, ...]:
        """The OpenID clients."""
        clients = await asyncio.to_thread(read_clients, Path(CLIENTS))
        return tuple(
            ClientRow(
                *(one.client_id, one.client_name, one.redirect_uris, one.grant_types, one.scopes),
                one.is_confidential,
            )
            for one in clients
        )

    async def keys(self) -> tuple[KeyRow, ...]:
        """The files with keys."""
        return await asyncio.to_thread(_key_files, MEMBER_KEY.parent)

    def key_ids(self) -> tuple[str, ...]:
        """Of the member's keys that the ledger has."""
        own = self._registry.known_member(self._did)
        return () if own is None else tuple(key.kid for key in own.keys)


def _key_files(folder: Path) -> tuple[KeyRow, ...]:
    """Names and times of the files of a folder; a file that goes away meanwhile is left out."""
    rows = []
    for path in sorted(folder.iterdir())[:KEY_FILES_MAX]:
        try:
            changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        except FileNotFoundError:
            continue
        rows.append(KeyRow(path.name, rfc3339(changed)))
    return tuple(rows)
