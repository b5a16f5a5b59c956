"""A whole marketplace, put together as `hansa serve` does it, in this process; nothing runs behind it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from hansa.core.clock import SystemClock
from hansa.core.files import write_file
from hansa.core.keys import SigningKey
from hansa.node.folder import MEMBER_KEY, PROVIDER_KEYS, init_member, issue_folder_token, load_genesis
from hansa.node.settings.loading import load_settings
from hansa.node.wiring import Marketplace, assemble
from hansa.pubsub.ledger.reading import RegistryState
from tests.support.asgi import AsgiClient
from tests.support.provider_keys import provider_key_file

CLOCK = SystemClock()


class Whole(NamedTuple):
    """A marketplace, and who speaks to it."""

    marketplace: Marketplace
    client: AsgiClient
    """An operator."""
    folder: Path
    anonymous: AsgiClient

    def with_role(self, role: str) -> AsgiClient:
        """A client with a token of that role."""
        token = issue_folder_token(self.folder, "test", [role], 3600.0, CLOCK, os.urandom)
        return self.anonymous.with_headers(authorization=f"Bearer {token}")


@asynccontextmanager
async def open_whole(
    folder: Path,
    environment: dict[str, str] | None = None,
    *,
    before: Callable[[], None] = lambda: None,
    is_new: bool = True,
) -> AsyncIterator[Whole]:
    """A marketplace in that folder, which is the working folder of the process until it is closed.

    Args:
        folder: Does not exist yet, unless the marketplace is not new.
        environment: Settings.
        before: Called when the folder is made, before the marketplace is.
        is_new: Whether the folder is to be made.
    """
    if is_new:
        init_member(folder, "lubeck", "http://127.0.0.1:8101", CLOCK, p2p_port=26_656)
        write_file(folder / PROVIDER_KEYS, provider_key_file())
    before()
    token = issue_folder_token(folder, "test", ["operator"], 3600.0, CLOCK, os.urandom)
    here = Path.cwd()
    os.chdir(folder)
    try:
        genesis, document = load_genesis(Path())
        settings = load_settings(Path(), environment or {})
        key = SigningKey.load(MEMBER_KEY)
        registered = RegistryState(document.app_state.members, document.app_state.params)
        made = await assemble(settings, genesis, registered, key, {}, CLOCK, os.urandom)
        anonymous = AsgiClient(made.front_door)
        yield Whole(made, anonymous.with_headers(authorization=f"Bearer {token}"), folder, anonymous)
        await made.close()
    finally:
        os.chdir(here)
