"""The keys of members at positions of the ledger, as a marketplace proves them to whoever has the genesis."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from hansa.cli.client import Client, refusal
from hansa.pubsub.light.genesis import read_trusted_genesis
from hansa.pubsub.light.histories.keys import ProvedKeys

MEMBERS: Final = "/league/v1/members"


def history_path(did: str) -> str:
    """Where a marketplace serves the receipt of a member's history."""
    return f"{MEMBERS}/{quote(did, safe='')}/history"


def proved_keys(client: Client, genesis: bytes) -> ProvedKeys:
    """The keys of members.

    Args:
        client: Of the marketplace that proves them.
        genesis: Of the league.

    Raises:
        Refused: `Code.INVALID`, when it is none.
    """
    trusted, keys = read_trusted_genesis(genesis)

    async def fetch(did: str, known_height: int, /) -> bytes:
        parameters = [("from", str(known_height))] if known_height else []
        response = await client.request("GET", history_path(did), parameters=parameters)
        if response.status != 200:
            raise refusal(response, client.url)
        return response.body

    return ProvedKeys(trusted, keys, fetch)
