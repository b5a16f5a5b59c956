"""The bus of a light member in a folder here, for a command beside its `hansa serve`.

What is read is what the marketplace has verified; what is submitted goes to the marketplace, which judges it
and hands it to the members that it follows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from hansa.cli.local import CLOCK, ENTROPY
from hansa.core.errors import Code, HansaError, Refused, Unavailable
from hansa.core.keys import SigningKey
from hansa.core.signal import Signal
from hansa.core.web_addresses import web_address
from hansa.identity import MemberSigner
from hansa.node.folder import LEDGER_STATE, MEMBER_KEY
from hansa.node.outbound import OutboundClient
from hansa.node.settings.loading import Settings
from hansa.pubsub.light_member.bus import LightBus
from hansa.pubsub.light_member.followed import FollowedMember


class OwnMarketplace:
    """Takes the transactions of a command.

    Args:
        settings: Of the marketplace.
        signer: Signs requests as the marketplace itself.
        http: Reaches it.
    """

    def __init__(self, settings: Settings, signer: MemberSigner, http: OutboundClient) -> None:
        self._did = settings.did
        self._signer = signer
        self._source = FollowedMember(settings.endpoint, http, CLOCK, "")

    async def submit(self, transaction: bytes, key: str, number: int) -> None:
        """Hand it a transaction. See `Submissions.submit`."""
        del key, number
        try:
            verdict = await self._source.submit(transaction, self._did, self._signer)
        except HansaError as error:
            raise Unavailable(Code.UNAVAILABLE, "The own engine cannot be reached.") from error
        if verdict.outcome == "refused":
            raise Refused(
                verdict.known_code, "The ledger refuses it; docs/errors.md says what the code means."
            )
        if verdict.outcome == "later":
            raise Unavailable(verdict.known_code, "It is not taken now.", verdict.wait_s)

    def note_committed(self, key: str, number: int | None = None) -> None:
        """Nothing: the marketplace itself watches who withholds."""


@asynccontextmanager
async def light_bus(folder: Path, settings: Settings) -> AsyncIterator[LightBus]:
    """The bus of the light member in a folder."""
    own = web_address(settings.endpoint).origin

    async def is_own(origin: str) -> bool:
        return origin == own

    http = OutboundClient(is_own, allow_private_networks=True)
    signer = MemberSigner(SigningKey.load(folder / MEMBER_KEY), settings.did, CLOCK, ENTROPY, settings.limits)
    bus = LightBus(
        *(folder / LEDGER_STATE, None, OwnMarketplace(settings, signer, http)),
        *(Signal(CLOCK), CLOCK, settings.limits),
    )
    try:
        yield bus
    finally:
        await bus.close()
        await http.close()
