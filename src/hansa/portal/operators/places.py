"""What all pages for operators have: the navigation between them, of `league/operator.html`."""

from __future__ import annotations

import msgspec

Places = tuple[str, ...]
"""Paths of the pages for operators that this marketplace has, as the wiring says: no other is linked."""


class OperatorPage(msgspec.Struct, frozen=True, kw_only=True):
    """What every page for operators has; its template extends `league/operator.html`."""

    places: Places
