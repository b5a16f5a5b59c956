"""`hansa audit`: reads leaves, light blocks and checkpoints of a member, and compares all of them.

What was verified can be remembered in a file; the next audit goes on from there, and so notices when what was
there before is there no more.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from hansa.cli.client import Client, PatientClient, refusal
from hansa.cli.input_files import read_input
from hansa.cli.output import Output
from hansa.cli.proofs.keys import proved_keys
from hansa.cli.proofs.witnesses import Testimony, testimony
from hansa.client.source import PAGE_SIZE_MAX
from hansa.client.verification import EventVerifier
from hansa.core.bounded_json import UNREADABLE
from hansa.core.clock import rfc3339_at_ms
from hansa.core.closed_json import Integer, ListOf, Record
from hansa.core.errors import Code, Refused
from hansa.core.files import is_missing, read_file, write_file
from hansa.core.foreign_text import printable
from hansa.core.merkle import Frontier, leaf_hash
from hansa.pubsub.ledger.commitments.app_hash import event_leaf
from hansa.pubsub.ledger.reading.times import time_ms_of
from hansa.pubsub.light.auditing import HASH_SIZE_BYTES, Auditor, Checkpoint, read_checkpoint
from hansa.pubsub.light.chain.blocks import LightBlock
from hansa.pubsub.light.chain.forms import (
    HASH,
    LIGHT_BLOCK,
    decoded,
    encoded,
    light_block_fields,
    read_light_block,
)
from hansa.pubsub.light.chain.verifying import Trusted, trusted_block
from hansa.pubsub.light.genesis import read_trusted_genesis

LEAVES_PER_REQUEST: Final = 65_536
BLOCKS_PER_REQUEST: Final = 200
CHECKPOINTS_PER_REQUEST: Final = 2000
SAMPLES: Final = 16
"""Events that are read whole, and compared with their leaves."""
REMEMBERED: Final = Record({"block": LIGHT_BLOCK, "size": Integer(0, 2**53 - 1)}, {"peaks": ListOf(HASH, 64)})


def run_audit(
    urls: Sequence[str],
    genesis: Path,
    remembered: Path | None,
    output: Output,
    *,
    from_genesis: bool,
    with_signatures: bool,
) -> None:
    """Audit a member's ledger, and say how far it was compared.

    Raises:
        Refused: `Code.PROOF_INVALID`, when it does not pass.
        HansaError: a file cannot be read, or the member does not answer.
    """
    raw, trusted = read_input(genesis, lambda content: (content, read_trusted_genesis(content)[0]))
    tree = Frontier()
    if remembered is not None and not from_genesis and not is_missing(remembered):
        trusted, tree = _read_remembered(remembered, trusted.chain_id)
    begun = trusted.height, tree.size
    audit = _Audit(urls[0], Auditor(trusted, tree), trusted, raw, with_signatures=with_signatures)
    asyncio.run(audit.run())
    testimonies = asyncio.run(_testimonies(urls[1:], audit))
    if remembered is not None and audit.auditor.compared is not None:
        write_file(remembered, _remembered(*audit.auditor.compared))
    _report(audit, begun, testimonies, output)
    if any(one.says in {"fork", "another block"} for one in testimonies):
        raise Refused(Code.PROOF_INVALID, "A member has another block than the one that was audited.")


async def _testimonies(urls: Sequence[str], audit: _Audit) -> list[Testimony]:
    """What the other members say about the last block."""
    if audit.last is None:
        return []
    return list(await asyncio.gather(*(testimony(url, audit.last) for url in urls)))


class _Audit:
    """One audit.

    Args:
        url: Of the member.
        auditor: Compares.
        trusted: Where it begins.
        genesis: By which the keys of members are proved.
        with_signatures: Whether every event is read, and not some alone.
    """

    def __init__(
        self, url: str, auditor: Auditor, trusted: Trusted, genesis: bytes, *, with_signatures: bool
    ) -> None:
        self._url = url
        self._genesis = genesis
        self._with_signatures = with_signatures
        self.auditor = auditor
        self._begin = trusted
        self._begin_events = auditor.tree.size
        self.last: LightBlock | None = None
        """The last light block that was verified."""
        self.samples = 0

    async def run(self) -> None:
        """Read all of it; blocks are read ahead of the checkpoints that they sign."""
        async with PatientClient(self._url) as client:
            verifier = EventVerifier(proved_keys(client, self._genesis))
            blocks = self._blocks(client)
            ahead: LightBlock | None = await anext(blocks, None)
            async for checkpoint in self._checkpoints(client):
                while ahead is not None and ahead.height <= checkpoint.height + 1:
                    self.auditor.add_block(ahead)
                    self.last, ahead = ahead, await anext(blocks, None)
                while self.auditor.leaves < checkpoint.events:
                    await self._add_leaves(client, verifier)
                self.auditor.check(checkpoint)
            figures = self.auditor.figures
            if figures.events > self._begin_events and not figures.checkpoints:
                raise Refused(
                    Code.PROOF_INVALID, "The member shows no signed state to compare its events with."
                )
            if not self._with_signatures:
                await self._check_samples(client, verifier)

    async def _add_leaves(self, client: Client, verifier: EventVerifier) -> None:
        parameters = [("after", str(self.auditor.leaves)), ("limit", str(LEAVES_PER_REQUEST))]
        hashes = await _body(client, "/league/v1/ledger/leaves", parameters)
        if not hashes:
            raise Refused(Code.PROOF_INVALID, "The member has fewer leaves than its checkpoints say.")
        if self._with_signatures:
            await self._check_events(client, verifier, hashes)
        self.auditor.add_leaves(hashes)

    async def _blocks(self, client: Client) -> AsyncIterator[LightBlock]:
        after = self._begin.height
        while True:
            parameters = [("after", str(after)), ("limit", str(BLOCKS_PER_REQUEST))]
            lines = (await _body(client, "/league/v1/light/blocks", parameters)).splitlines()
            if not lines:
                return
            for line in lines:
                block = read_light_block(_read(line), self._begin.chain_id)
                after = block.height
                yield block

    async def _checkpoints(self, client: Client) -> AsyncIterator[Checkpoint]:
        after = max(self._begin.height - 1, 0)
        while True:
            parameters = [("after", str(after)), ("limit", str(CHECKPOINTS_PER_REQUEST))]
            lines = (await _body(client, "/league/v1/ledger/checkpoints", parameters)).splitlines()
            if not lines:
                return
            for checkpoint in map(read_checkpoint, lines):
                after = checkpoint.height
                yield checkpoint

    async def _check_events(self, client: Client, verifier: EventVerifier, hashes: bytes) -> None:
        """Every event of some leaves is the one that was compared, and signed by its issuer."""
        first = self.auditor.leaves
        end = first + len(hashes) // HASH_SIZE_BYTES
        after = first
        while after < end:
            parameters = [("after", str(after)), ("limit", str(min(PAGE_SIZE_MAX, end - after)))]
            rows = _rows(await client.get("/league/v1/events", parameters))
            if not rows:
                raise Refused(Code.PROOF_INVALID, f"The member shows no event at position {after + 1}.")
            for event in rows:
                at = HASH_SIZE_BYTES * (after - first)
                after += 1
                await self._check_event(event, after, hashes[at : at + HASH_SIZE_BYTES], verifier)
                self.samples += 1

    async def _check_event(self, event: Any, position: int, leaf: bytes, verifier: EventVerifier) -> None:
        if _leaf_of(event) != leaf or event["position"] != position:
            raise Refused(
                Code.PROOF_INVALID, f"The event at position {position} is not the one that was signed."
            )
        try:
            await verifier.verify(event)
        except Refused as error:
            raise Refused(Code.PROOF_INVALID, error.message) from error

    async def _check_samples(self, client: Client, verifier: EventVerifier) -> None:
        """Some events, evenly spread, have the leaves that were compared."""
        size = self.auditor.tree.size
        for number in range(min(SAMPLES, size)):
            position = 1 + number * size // SAMPLES if size > SAMPLES else 1 + number
            parameters = [("after", str(position - 1)), ("limit", "1")]
            leaf = await _body(client, "/league/v1/ledger/leaves", parameters)
            rows = _rows(await client.get("/league/v1/events", parameters))
            await self._check_event(rows[0] if rows else {}, position, leaf, verifier)
            self.samples += 1


def _rows(page: Any) -> list[Any]:
    """The events of a page."""
    rows = page.get("events") if isinstance(page, dict) else None
    return list(rows) if isinstance(rows, list) else []


def _leaf_of(event: Any) -> bytes:
    """The leaf hash of an event as `/league/v1/events` gives it; empty for what is no event."""
    try:
        proof = event["proof"]
        batch = hashlib.sha256(proof["jws"].encode()).digest()
        return leaf_hash(event_leaf(event["height"], time_ms_of(event["time"]), proof["index"], batch))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return b""


def _read(line: bytes) -> dict[str, Any]:
    try:
        return LIGHT_BLOCK.read(line)
    except Refused as error:
        raise Refused(Code.PROOF_INVALID, f"A light block cannot be read: {error.message}") from error


async def _body(client: Client, path: str, parameters: list[tuple[str, str]]) -> bytes:
    response = await client.request("GET", path, parameters=parameters)
    if response.status != 200:
        raise refusal(response, client.url)
    return response.body


class _Remembered(msgspec.Struct, frozen=True):
    chain_id: str
    content: str


def _remembered(block: LightBlock, tree: Frontier) -> bytes:
    peaks = {"peaks": tuple(map(encoded, tree.peaks))} if tree.peaks else {}
    content = REMEMBERED.write({"block": light_block_fields(block), "size": tree.size, **peaks})
    return msgspec.json.encode(_Remembered(block.header.chain_id, content.decode()))


def _read_remembered(path: Path, chain_id: str) -> tuple[Trusted, Frontier]:
    try:
        remembered = msgspec.json.decode(read_file(path), type=_Remembered)
        fields = REMEMBERED.read(remembered.content.encode())
    except (*UNREADABLE, Refused) as error:
        raise Refused(Code.INVALID, f"{path} is not what an earlier audit remembered.") from error
    if remembered.chain_id != chain_id:
        raise Refused(Code.INVALID, f"{path} is of the league {remembered.chain_id!r}, not of {chain_id!r}.")
    block = read_light_block(fields["block"], chain_id)
    peaks = tuple(decoded(one) for one in fields.get("peaks", ()))
    if len(peaks) != fields["size"].bit_count():
        raise Refused(Code.INVALID, f"{path} is not what an earlier audit remembered.")
    return trusted_block(block), Frontier(fields["size"], peaks)


def _report(audit: _Audit, begun: tuple[int, int], testimonies: Sequence[Testimony], output: Output) -> None:
    figures, trusted = audit.auditor.figures, audit.auditor.trusted
    if output.as_json:
        output.document(
            {
                "passes": True,
                **msgspec.to_builtins(figures),
                "from_height": begun[0],
                "from_events": begun[1],
                "height": trusted.height,
                "hash": trusted.hash.hex(),
                "samples": audit.samples,
                "others": msgspec.to_builtins(testimonies),
            }
        )
        return
    output.data("The ledger passes the audit: nothing was removed, reordered or rewritten.")
    output.facts(
        {
            "league": trusted.chain_id,
            "events": f"{figures.events}, {figures.events - begun[1]} of them new to this audit",
            "compared": f"with {figures.checkpoints} signed states, of {figures.blocks} verified blocks",
            "not compared": f"{figures.unsigned} states whose header is not here (any more, or yet)",
            "read whole": f"{audit.samples} events, each signed by its issuer with a key that was valid then",
            "trusted block": f"{trusted.height}:{trusted.hash.hex()} of {rfc3339_at_ms(trusted.time_ns // 1_000_000)}",
        }
    )
    for one in testimonies:
        reason = f": {printable(one.reason)}" if one.reason else ""
        output.data(f"{one.url} says {one.says}{reason}")
