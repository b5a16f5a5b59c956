"""What operators and providers do by pages, on record."""

from __future__ import annotations

from hansa.core.access import Caller
from hansa.portal.frame.acts import Act


class RecordedActs:
    """Acts that are on record."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, str, str, str | None]] = []

    async def note(self, caller: Caller, act: Act, code: str | None = None) -> None:
        self.notes.append((caller.subject or "", act.name, act.about, code))
