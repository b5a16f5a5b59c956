"""What people do with buttons of pages, in the audit log of the store (`hansa.portal.frame.acts.Acts`)."""

from __future__ import annotations

from hansa.core.access import Caller
from hansa.portal.frame.acts import ABOUT_MAX_CHARS, Act
from hansa.store import Store
from hansa.store.tables import audit


class StoredActs:
    """Records acts.

    Args:
        store: Has the audit log.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def note(self, caller: Caller, act: Act, code: str | None = None) -> None:
        """See `Acts`."""
        content = {"about": act.about[:ABOUT_MAX_CHARS], "act": act.name, "subject": caller.subject or ""}
        if code is not None:
            content["code"] = code
        async with self._store.transaction() as tx:
            await audit.append(tx, "acted", content)
