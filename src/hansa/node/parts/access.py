"""Who may read and write what: the access policies of the marketplace's folder, and the log of decisions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from hansa.core.clock import Clock
from hansa.identity.rights.deciding import AccessRights
from hansa.identity.rights.policies import AccessPolicies, read_texts
from hansa.identity.rights.watch import AccessWatch
from hansa.node.folder import ACCESS_POLICIES


class AccessParts:
    """What decides about access.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when the files of the start are not valid.
    """

    def __init__(self, clock: Clock) -> None:
        folder = Path(ACCESS_POLICIES)
        texts = read_texts(folder)
        self.rights: Final = AccessRights(AccessPolicies(texts, clock), clock)
        self.watch: Final = AccessWatch(folder, self.rights, texts, clock)

    def tasks(self) -> tuple[tuple[str, Callable[[], Awaitable[None]]], ...]:
        """What runs in the background."""
        return (("access policies", self.watch.run),)
