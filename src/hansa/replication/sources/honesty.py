"""What a member that is not their origin sent for some versions: bytes that hold, and bytes that do not.

Bytes with another hash than the event names are evidence against the member that sent them and signed that it
did, never against the issuer, which has announced the right ones; and never where the answer is not signed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec
import structlog

from hansa.core.canonical import hashlink
from hansa.core.errors import Code
from hansa.core.limits import Limits
from hansa.core.retry import Retry
from hansa.replication.exchange import AnswerProof, MemberAnswer, ResponseLine
from hansa.replication.sources.ranking import SourceRanking
from hansa.store import Store, Transaction
from hansa.store.tables import evidence
from hansa.store.tables.heads import Retrieval

PROOF_MAX_BYTES: Final = 262_144
"""Of request and answer together; larger ones are not retained."""

log = structlog.get_logger()


class HonestyCheck:
    """Compares what sources sent with what was requested of them.

    Args:
        store: Evidence goes there.
        ranking: Learns how the sources did.
        limits: `evidence_rows_max`.
        retry: For the store.
    """

    def __init__(self, store: Store, ranking: SourceRanking, limits: Limits, retry: Retry) -> None:
        self._store = store
        self._ranking = ranking
        self._limits = limits
        self._retry = retry

    async def remember(self) -> None:
        """Read from the store who sent wrong bytes before."""
        counts = await evidence.counts(self._store)
        wrong = [(did, count) for (did, code), count in counts.items() if code == Code.SOURCE_WRONG_BYTES]
        self._ranking.remember_wrong(wrong)

    async def held(
        self, source: str, requested: Sequence[Retrieval], answer: MemberAnswer, latency_s: float
    ) -> dict[Retrieval, ResponseLine]:
        """The lines of an answer with the bytes of the versions that were requested."""
        held: dict[Retrieval, ResponseLine] = {}
        wrong: list[Retrieval] = []
        for version, line in zip(requested, answer.lines, strict=True):
            if isinstance(line.entity, msgspec.Raw):
                if hashlink(bytes(line.entity)) == version.hashlink:
                    held[version] = line
                else:
                    wrong.append(version)
        self._ranking.answered(source, latency_s, len(requested), len(held))
        if wrong:
            self._ranking.sent_wrong(source, len(wrong))
            log.warning(
                "source_sent_wrong_bytes", source=source, count=len(wrong), is_signed=answer.proof is not None
            )
            if answer.proof is not None:
                await self._retry(partial(self._record, source, wrong, answer.proof))
        return held

    async def _record(self, source: str, wrong: Sequence[Retrieval], proof: AnswerProof) -> None:
        async with self._store.transaction() as tx:
            for version in wrong:
                reason = f"It sent other bytes than those that {version.issuer} has announced with this hash."
                sent = msgspec.structs.replace(version, issuer=source)
                code = str(Code.SOURCE_WRONG_BYTES)
                await evidence.record(tx, sent, code, reason, self._limits.evidence_rows_max)
            first = msgspec.structs.replace(wrong[0], issuer=source)
            await record_proof(tx, [first], Code.SOURCE_WRONG_BYTES, proof)


async def record_proof(
    tx: Transaction, wrong: Sequence[Retrieval], code: Code, proof: AnswerProof | None
) -> None:
    """Retain with the evidence of the first of some versions what shows to others which answer was given."""
    if not wrong or proof is None or len(proof.request) + len(proof.answer) > PROOF_MAX_BYTES:
        return
    await evidence.record_proof(tx, wrong[0], str(code), msgspec.json.encode(proof))
