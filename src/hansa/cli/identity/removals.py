"""`hansa access`: who is kept out of a marketplace, whatever credential he or she has."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec

from hansa.cli.client import Client
from hansa.cli.output import Output
from hansa.core.foreign_text import printable

PATH: Final = "/oidc/removed"


def list_removed(url: str, token: str | None, output: Output) -> None:
    """Show who is kept out.

    Raises:
        HansaError: When the marketplace cannot be reached or refuses.
    """

    async def run() -> Any:
        async with Client(url, token) as client:
            return await client.get(PATH)

    removed = asyncio.run(run())["removed"]
    if output.as_json:
        output.document(removed)
    elif removed:
        rows = [(printable(one["kind"]), printable(one["name"])) for one in removed]
        output.table(("kind", "name"), rows)
    else:
        output.message("Nobody.")


def change_removed(
    url: str, token: str | None, kind: str, name: str, output: Output, *, readmit: bool
) -> None:
    """Keep somebody out, or let somebody in again.

    Raises:
        HansaError: When the marketplace cannot be reached or refuses.
    """
    body = msgspec.json.encode({"kind": kind, "name": name, "readmit": readmit})

    async def run() -> Any:
        async with Client(url, token) as client:
            response = await client.request("POST", PATH, body=body)
            if response.status != 200:
                raise client.refusal(response)
            return msgspec.json.decode(response.body)

    answer = asyncio.run(run())
    if output.as_json:
        output.document(answer)
    elif readmit:
        output.message(f"{printable(name)} may log in again.")
    else:
        output.message(f"{printable(name)} is out, with all sessions and tokens.")
