"""What other members say about the block that an audit ended with: who agrees, lies, or lags."""

from __future__ import annotations

from typing import Final

import msgspec

from hansa.cli.client import Client, PatientClient
from hansa.core.errors import Code, HansaError, Refused
from hansa.core.http import HttpRequest, HttpResponse
from hansa.pubsub.light.chain.blocks import LightBlock
from hansa.pubsub.light.comparing import is_fork
from hansa.pubsub.light.remote import RemoteMember

LATE_BLOCKS: Final = 5
"""A member that is further behind than this is late."""


class Testimony(msgspec.Struct, frozen=True):
    """What one member says."""

    url: str
    says: str
    """`the same`, `late`, `no answer`, `another block`, or `fork`."""
    newest_height: int = 0
    reason: str = ""


class _Http:
    """The commands' client as an `HttpClient`, for one marketplace."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def send(self, request: HttpRequest) -> HttpResponse:
        """See `HttpClient`."""
        path = request.url.removeprefix(self._client.url)
        response = await self._client.request(request.method, path, timeout_s=request.timeout_s)
        if len(response.body) > request.answer_size_max_bytes:
            raise Refused(Code.TOO_LARGE, f"The response of {self._client.url} is too large.")
        return HttpResponse(response.status, response.headers, response.body)


async def testimony(url: str, audited: LightBlock) -> Testimony:
    """What a member says about a block that was verified."""
    try:
        async with PatientClient(url) as client:
            member = RemoteMember(client.url, _Http(client), audited.header.chain_id)
            newest = await member.light_block()
            if newest.header.chain_id != audited.header.chain_id:
                return Testimony(url, "another block", newest.height, "it is of another league")
            if newest.height < audited.height:
                behind = audited.height - newest.height
                says = "late" if behind > LATE_BLOCKS else "the same"
                return Testimony(url, says, newest.height, f"{behind} blocks behind")
            theirs = await member.light_block(audited.height)
    except HansaError as error:
        return Testimony(url, "no answer", reason=error.message)
    if theirs.header.hash == audited.header.hash:
        return Testimony(url, "the same", newest.height)
    if is_fork(audited, theirs):
        return Testimony(
            url, "fork", newest.height, "its block is validly signed, too: the ledger has forked"
        )
    return Testimony(url, "another block", newest.height, "its block is not validly signed: it is made up")
