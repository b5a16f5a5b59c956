"""Verifying proofs about the ledger: pure functions of a proof and an application hash.

The proof may come from anybody; what it does not show is False or None, whatever it consists of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hansa.core.merkle import leaf_hash, verify_consistency, verify_inclusion
from hansa.pubsub.ledger.commitments.app_hash import COUNT_SIZE_BYTES, event_leaf, verify_section
from hansa.pubsub.ledger.commitments.claims import records_proved
from hansa.pubsub.proofs import ClaimsProof, ConsistencyProof, InclusionProof, SectionProof

_NUMBER_MAX: Final = 2**63 - 1
_HASH_SIZE_BYTES: Final = 32


def section_content(name: str, proof: SectionProof, app_hash: bytes) -> bytes | None:
    """The content of a section, if `app_hash` commits to it."""
    content, path = _raw(proof.content), _hashes(proof.path)
    if content is None or path is None:
        return None
    return content if verify_section(proof.ruleset, name, content, path, app_hash) else None


def holds_inclusion(proof: InclusionProof, app_hash: bytes) -> bool:
    """Whether an event was committed as the proof says."""
    size, events_root = _events(proof.section, app_hash)
    batch, path = _hashes((proof.batch,)), _hashes(proof.path)
    numbers = (proof.position - 1, proof.block_height, proof.block_time_ms, proof.index)
    is_possible = all(0 <= number <= _NUMBER_MAX for number in numbers) and proof.index < 1 << 32
    if batch is None or path is None or not is_possible:
        return False
    leaf = leaf_hash(event_leaf(proof.block_height, proof.block_time_ms, proof.index, batch[0]))
    return verify_inclusion(leaf, proof.position - 1, size, path, events_root)


def holds_consistency(proof: ConsistencyProof, app_hash: bytes) -> bool:
    """Whether the ledger has all events of the earlier one at the same positions."""
    size, events_root = _events(proof.section, app_hash)
    earlier, path = _hashes((proof.earlier_root,)), _hashes(proof.path)
    if earlier is None or path is None:
        return False
    return verify_consistency(proof.earlier_size, earlier[0], size, events_root, path)


def proved_records(proof: ClaimsProof, app_hash: bytes) -> tuple[bytes, ...] | None:
    """The records of all claims on the key of the proof: none when it is unknown.

    None when the proof shows nothing. `hansa.pubsub.ledger.commitments.claims` says what a record is.
    """
    claims_root = section_content("claims", proof.section, app_hash)
    records, path = _raw(proof.bucket), _hashes(proof.path)
    if claims_root is None or records is None or path is None:
        return None
    return records_proved(proof.key, records, path, claims_root)


def _events(proof: SectionProof, app_hash: bytes) -> tuple[int, bytes]:
    """Number and root of the events; no proof is one of a tree without leaves."""
    content = section_content("events", proof, app_hash)
    if content is None or len(content) != COUNT_SIZE_BYTES + _HASH_SIZE_BYTES:
        return 0, b""
    return int.from_bytes(content[:COUNT_SIZE_BYTES]), content[COUNT_SIZE_BYTES:]


def _raw(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None


def _hashes(texts: Sequence[str]) -> list[bytes] | None:
    hashes = [_raw(text) for text in texts]
    whole = [one for one in hashes if one is not None and len(one) == _HASH_SIZE_BYTES]
    return whole if len(whole) == len(texts) else None
