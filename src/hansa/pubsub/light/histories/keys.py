"""The keys of members at positions of the ledger, proved by what a marketplace gives.

A receipt of a member's history proves its keys up to the last event of a state. An event behind that needs a
newer receipt, which begins with the block that the one before ended with: so a marketplace can neither go
back to an older state, in which a key that was retired since is valid, nor change the past.
"""

from __future__ import annotations

from typing import Final, Protocol

from hansa.core.cache import Cache
from hansa.core.errors import Code, Refused
from hansa.core.histories import LedgerHistory
from hansa.core.keys import PublicJwk
from hansa.pubsub.light.chain.verifying import Trusted
from hansa.pubsub.light.histories.shown import ProvedHistory
from hansa.pubsub.light.receipts import KnownKeys, VerifiedReceipt, verify_receipt

MEMBERS_MAX: Final = 1024
"""Of whom histories are cached."""


class ReceiptFetch(Protocol):
    """Gets the receipt of a member's history, from whomever."""

    async def __call__(self, did: str, known_height: int, /) -> bytes:
        """The receipt; it begins with the block of a height, or with the genesis for 0.

        Raises:
            HansaError: there is none.
        """


class ProvedKeys:
    """Keys of members, by DID, name and position.

    Args:
        trusted: The validators of the genesis.
        genesis_keys: Of its members, for rules that let no member change.
        fetch: Gets receipts.
    """

    def __init__(self, trusted: Trusted, genesis_keys: KnownKeys, fetch: ReceiptFetch) -> None:
        self._trusted = trusted
        self._genesis_keys = genesis_keys
        self._fetch = fetch
        self._histories = Cache[str, ProvedHistory]("member_histories", MEMBERS_MAX)
        self._known: tuple[int, bytes] | None = None
        """Height and hash of the newest block that was verified."""

    async def key(self, did: str, kid: str, position: int) -> PublicJwk | None:
        """The key of that name with which a member could sign the event at a position; None: it had none.

        Raises:
            Refused: `Code.PROOF_INVALID`, when what was given does not prove it.
            HansaError: nothing was given.
        """
        history = self._histories.get(did)
        if history is None or history.events < position:
            history = await self._read(did)
            self._histories.put(did, history)
        if history.events < position:
            raise Refused(
                Code.PROOF_INVALID,
                f"No state is shown that has position {position}; the newest has {history.events}.",
            )
        if history.is_fixed:
            return self._genesis_keys.by_name.get((did, kid))
        return LedgerHistory(history.keys).key(did, kid, position)

    async def _read(self, did: str) -> ProvedHistory:
        """What a new receipt proves of a member."""
        receipt = await self._receipt(did)
        history = receipt.history
        if history is None or history.member != did:
            raise Refused(Code.PROOF_INVALID, f"The receipt shows nothing of {did}.")
        if self._known is not None and receipt.height < self._known[0]:
            raise Refused(Code.PROOF_INVALID, "The receipt is of an older state than the one before.")
        self._known = receipt.height, bytes.fromhex(receipt.block_hash)
        return history

    async def _receipt(self, did: str) -> VerifiedReceipt:
        known = self._known
        if known is not None:
            try:
                raw = await self._fetch(did, known[0])
            except Refused as error:
                if error.code is not Code.NOT_FOUND:
                    raise
                # another marketplace, which retains other blocks: from the genesis
            else:
                return verify_receipt(raw, self._trusted, self._genesis_keys, known)
        return verify_receipt(await self._fetch(did, 0), self._trusted, self._genesis_keys)
