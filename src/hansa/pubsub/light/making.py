"""Making receipts: from the ledger's state, and the light blocks that this member retains.

All proofs of a receipt are about one state. The block that signs it comes right after it, so a receipt about
the newest state waits for that block, some 50 ms. The steps from the genesis are as few as possible: from
what is trusted, the farthest retained light block that more than 1/3 of the trusted power has signed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from hansa.core.admission import Admission
from hansa.core.batches import read_batch
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.events import CONTENT
from hansa.core.identifiers import entity_key, is_did, is_entity_key
from hansa.core.keys import PublicJwk
from hansa.core.members import Member
from hansa.pubsub.bus import BusReads
from hansa.pubsub.ledger_records import Claim, CommittedEvent, EventFilter
from hansa.pubsub.light.captured import BlockRetention, CapturedBlocks
from hansa.pubsub.light.chain.blocks import FOR_BLOCK, LightBlock, has_more_than
from hansa.pubsub.light.chain.forms import encoded, light_block_fields
from hansa.pubsub.light.chain.verifying import TRUST_LEVEL, Trusted, trusted_block
from hansa.pubsub.light.histories.shown import history_fields
from hansa.pubsub.light.receipts import EVENTS_MAX, FORMAT, RECEIPT, STEPS_MAX, digest_of, thumbprint
from hansa.pubsub.proofs import HistoryRequest, InclusionProof, StateProofs

WAIT_MAX_S: Final = 5.0
RECEIPTS_AT_ONCE_MAX: Final = 4
RECEIPTS_WAITING_MAX: Final = 64
_EVENT_ID: Final = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


class ReceiptMaker:
    """Makes receipts for strangers.

    Args:
        bus: The ledger.
        capture: Light blocks.
        genesis: What every verifier trusts.
    """

    def __init__(self, bus: BusReads, capture: BlockRetention, genesis: Trusted) -> None:
        self._bus = bus
        self._capture = capture
        self._genesis = genesis

    async def of_entity(self, name: str, *, is_latest: bool = False, known_height: int = 0) -> bytes:
        """The receipt of the last event of an entity, or of an event.

        Args:
            name: The entity's identifier or ledger key, or the id of an event.
            is_latest: Whether it shows too that there is no later version.
            known_height: Of a light block that the verifier knows; 0 for the genesis.

        Raises:
            Refused: `Code.NOT_FOUND`.
            Unavailable: the ledger or the engine does not answer.
        """
        if _EVENT_ID.fullmatch(name):
            position = await self._bus.event_position(name)
            if position is None:
                raise Refused(Code.NOT_FOUND, "There is no event with this id.")
            key = None
        else:
            claim = await self._claim(name)
            position, key = claim.last_position, claim.key
        page = await self._bus.search(position - 1, EventFilter(), 1, with_proofs=True)
        if is_latest and key is None:
            key = page.events[0].event.entity.key
        return await self._made(page.events, key if is_latest else None, known_height)

    async def of_history(self, name: str, after_version: int = 0, known_height: int = 0) -> bytes:
        """The receipt of all events of an entity, the first ones after a version, and of their end.

        Raises:
            Refused: `Code.NOT_FOUND`.
            Unavailable: the ledger or the engine does not answer.
        """
        claim = await self._claim(name)
        filter_ = EventFilter(keys=(claim.key,), issuers=(claim.issuer,))
        events: list[CommittedEvent] = []
        after = claim.first_position - 1
        while len(events) < EVENTS_MAX and after < claim.last_position:
            page = await self._bus.search(after, filter_, with_proofs=True)
            events += [one for one in page.events if one.event.entity.version > after_version]
            if page.scanned_to <= after:
                break
            after = page.scanned_to
        if not events:
            raise Refused(Code.NOT_FOUND, f"There is no version after {after_version}.")
        return await self._made(events[:EVENTS_MAX], claim.key, known_height)

    async def of_absence(self, key: str, known_height: int = 0) -> bytes:
        """The receipt of what is claimed on a key, or of nothing.

        Raises:
            Refused: `Code.INVALID`.
            Unavailable: the ledger or the engine does not answer.
        """
        if not is_entity_key(key):
            raise Refused(Code.INVALID, "Absence is shown of a ledger key: 64 hexadecimal digits.")
        return await self._made((), key, known_height)

    async def of_member(self, did: str, known_height: int = 0) -> bytes:
        """The receipt of the keys and endpoints that a member has and had.

        Raises:
            Refused: `Code.INVALID`; `Code.TOO_LARGE`, when there are too many for one receipt.
            Unavailable: the ledger or the engine does not answer.
        """
        if not is_did(did):
            raise Refused(Code.INVALID, "A member is named by its DID.")
        return await self._made((), None, known_height, did)

    async def _claim(self, name: str) -> Claim:
        """The earliest claim on an entity."""
        members = await self._bus.members()
        keys = [name] if is_entity_key(name) else [entity_key(member.did, name) for member in members]
        claims = await self._bus.claims(keys)
        if not claims:
            raise Refused(Code.NOT_FOUND, "The ledger has no event of an entity with this name.")
        return min(claims, key=lambda claim: claim.first_position)

    async def _made(
        self,
        events: Sequence[CommittedEvent],
        key: str | None,
        known_height: int,
        member: str | None = None,
    ) -> bytes:
        request = HistoryRequest(_signers(events), member)
        proofs = await self._bus.state_proofs([one.position for one in events], key, request)
        block = await self._capture.wait_for(bytes.fromhex(proofs.app_hash), WAIT_MAX_S)
        steps = await self._steps(block, known_height)
        fields: dict[str, Any] = {
            "block": light_block_fields(block),
            "chain_id": self._genesis.chain_id,
            "format": FORMAT,
            "ruleset": proofs.ruleset,
            "state": {},
        }
        if steps:
            fields["steps"] = tuple(map(light_block_fields, steps))
        if events:
            fields["events"] = tuple(
                _event_fields(one, proof) for one, proof in zip(events, proofs.events, strict=True)
            )
        elif member is not None:
            fields["root"] = encoded(bytes.fromhex(proofs.root))
        if events or member is not None:
            fields["size"] = proofs.size
            fields["state"]["events"] = _hashes(proofs.events_path)
        if proofs.history is not None or member is not None:
            fields["history"] = history_fields(proofs.history, member)
        if proofs.history is not None:
            fields["state"]["history"] = _hashes(proofs.history.section_path)
        elif events and (keys := _keys(events, await self._bus.members())):
            fields["keys"] = keys
        if key is not None:
            fields["claims"], fields["state"]["claims"] = _claims_fields(key, proofs)
        return RECEIPT.write({**fields, "digest": digest_of(fields)})

    async def _steps(self, block: LightBlock, known_height: int) -> list[LightBlock]:
        trusted, steps = self._genesis, list[LightBlock]()
        if known_height:
            known = await self._capture.read(lambda blocks: blocks.block(known_height))
            if known is None or known_height > block.height:
                raise Refused(Code.NOT_FOUND, f"No light block of height {known_height} is retained here.")
            if known_height == block.height:
                return []
            trusted = trusted_block(known)
            steps.append(known)
        heights = await self._capture.read(
            lambda blocks: CapturedBlocks.set_changes(blocks, trusted.height + 1, block.height - 1)
        )
        while not _may_step(trusted, block):
            step = await self._capture.read(lambda blocks: _farthest(blocks, trusted, heights))  # noqa: B023
            if step is None or len(steps) >= STEPS_MAX:
                raise Unavailable(
                    Code.UNAVAILABLE, "This member lacks light blocks that lead there; ask another one.", 30.0
                )
            steps.append(step)
            trusted = trusted_block(step)
        return steps


class Receipts:
    """Receipts for strangers, a few at a time: making one waits for a block, and reads a file.

    Args:
        maker: Makes one.
    """

    def __init__(self, maker: ReceiptMaker) -> None:
        self._maker = maker
        self._admission = Admission(
            RECEIPTS_AT_ONCE_MAX, RECEIPTS_WAITING_MAX, "Too many receipts are being made."
        )

    async def of_entity(self, name: str, *, is_latest: bool = False, known_height: int = 0) -> bytes:
        """The receipt of an entity's last event, or of an event. See `ReceiptMaker.of_entity`."""
        return await self._admission(
            lambda: self._maker.of_entity(name, is_latest=is_latest, known_height=known_height)
        )

    async def of_history(self, name: str, after_version: int = 0, known_height: int = 0) -> bytes:
        """The receipt of all events of an entity. See `ReceiptMaker.of_history`."""
        return await self._admission(lambda: self._maker.of_history(name, after_version, known_height))

    async def of_absence(self, key: str, known_height: int = 0) -> bytes:
        """The receipt of what is claimed on a key. See `ReceiptMaker.of_absence`."""
        return await self._admission(lambda: self._maker.of_absence(key, known_height))

    async def of_member(self, did: str, known_height: int = 0) -> bytes:
        """The receipt of a member's keys and endpoints. See `ReceiptMaker.of_member`."""
        return await self._admission(lambda: self._maker.of_member(did, known_height))


def _farthest(blocks: CapturedBlocks, trusted: Trusted, heights: Sequence[int]) -> LightBlock | None:
    for height in reversed(heights):
        if height <= trusted.height:
            return None
        block = blocks.block(height)
        if block is not None and _may_step(trusted, block):
            return block
    return None


def _may_step(trusted: Trusted, block: LightBlock) -> bool:
    """Whether a light block that was verified before follows from what is trusted."""
    if block.height == trusted.height + 1:
        return block.header.validators_hash == trusted.next_validators_hash
    addresses = frozenset(
        one.address
        for one, vote in zip(block.validators.validators, block.commit.votes, strict=True)
        if vote.flag == FOR_BLOCK
    )
    return has_more_than(TRUST_LEVEL, addresses, trusted.validators)


def _event_fields(event: CommittedEvent, proof: InclusionProof) -> dict[str, Any]:
    assert event.proof is not None, "it was read with its proof"
    path = _hashes(event.proof.path)
    return {
        "batch": {"index": event.proof.index, "jws": event.proof.jws, **({"path": path} if path else {})},
        "content": (event.content, CONTENT.read(event.content)),
        "height": proof.block_height,
        "position": proof.position,
        "time_ms": proof.block_time_ms,
        **({"path": _hashes(proof.path)} if proof.path else {}),
    }


def _claims_fields(key: str, proofs: StateProofs) -> tuple[dict[str, Any], tuple[str, ...]]:
    assert proofs.claims is not None, "it was read with the claims"
    bucket = {"bucket": encoded(bytes.fromhex(proofs.claims.bucket))} if proofs.claims.bucket else {}
    return {"key": key, "path": _hashes(proofs.claims.path), **bucket}, _hashes(proofs.claims.section.path)


def _signers(events: Sequence[CommittedEvent]) -> tuple[tuple[str, str], ...]:
    """DIDs and names of the keys that signed the events' batches."""
    signed = (read_batch(one.proof.jws) for one in events if one.proof is not None)
    return tuple(dict.fromkeys((batch.issuer, jws.kid) for batch, jws in signed))


def _keys(events: Sequence[CommittedEvent], members: Sequence[Member]) -> tuple[dict[str, Any], ...]:
    """The keys that signed the events' batches, as far as the registry has them and they name themselves."""
    known: dict[str, PublicJwk] = {
        key.kid: key for member in members for key in member.keys if key.kid == thumbprint(key)
    }
    used = dict.fromkeys(read_batch(one.proof.jws)[1].kid for one in events if one.proof is not None)
    return tuple(
        {name: value for name in ("crv", "kid", "kty", "x", "y") if (value := getattr(known[kid], name))}
        for kid in used
        if kid in known
    )


def _hashes(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(encoded(bytes.fromhex(text)) for text in texts)
