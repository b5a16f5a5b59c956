"""Members that lose their stores, and what of what they sealed comes back to them."""

from __future__ import annotations

from hansa.core.http import HttpRequest, HttpResponse
from hansa.identity import MemberSigner
from hansa.replication.confidential.return_exchange import (
    LOST_PATH,
)
from hansa.replication.continuity.sealed_restoration import ReturnedPart
from tests.support.confidential import party, settle
from tests.support.league import Marketplace

NAMES = ("lubeck", "bergen", "riga", "bruges")


def parties(*markets: Marketplace) -> list[dict[str, str]]:
    return [
        party(role, one.did) for role, one in zip(("Seller", "Buyer", "BuyerOperator"), markets, strict=False)
    ]


async def lose(member: Marketplace) -> None:
    """Lose the store, and read the ledger with an empty one."""
    await member.close()
    await member.open()
    member.start()
    await settle(member.league)


async def returned(member: Marketplace) -> ReturnedPart:
    """All parts of a restoration, as one."""
    parts: list[ReturnedPart] = []
    after: int | None = 0
    while after is not None:
        parts.append(await member.confidential.restoration.restore(after))
        after = parts[-1].next_after
    names = ("events", "restored", "present", "withdrawn", "unopened")
    return ReturnedPart(
        **{name: sum(getattr(one, name) for one in parts) for name in names},
        unopened_to=max(one.unopened_to for one in parts),
        missing=parts[-1].missing,
        sources=tuple(source for one in parts for source in one.sources),
        next_after=None,
    )


async def ask(caller: Marketplace, recipient: Marketplace, body: bytes) -> HttpResponse:
    """What a member answers another one that says it has lost something."""
    league, url = caller.league, recipient.endpoint + LOST_PATH
    signer = MemberSigner(caller.key, caller.did, league.clock, caller.entropy, league.limits)
    headers = {"content-type": "application/json"} | signer.headers(recipient.did, "POST", url, body)
    return await league.network.send(HttpRequest("POST", url, headers, body))
