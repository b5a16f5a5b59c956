"""What a client sends: a form, and whatever else says who sends it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class ClientRequest(msgspec.Struct, frozen=True):
    """A request of a client."""

    parameters: Mapping[str, str]
    """Of its form."""
    authorization: str = ""
    """Header `Authorization`; empty: there is none."""
    address: str = ""
    """Where it comes from."""
