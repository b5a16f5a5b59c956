"""ABCI's four methods of snapshots: requests' messages to the service, its answers to responses' messages."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from hansa.pubsub.ledger.messages import PACKAGE, message_class
from hansa.pubsub.ledger.snapshots.manifest import FORMAT
from hansa.pubsub.ledger.snapshots.service import Offer, SnapshotService, Verdict


def snapshot_methods(
    snapshots: SnapshotService | None, restored: Callable[[], None]
) -> Mapping[str, Callable[[Any], Any]]:
    """The methods by their names.

    Args:
        snapshots: The service; None where no snapshots are offered or taken.
        restored: Called when the state has become that of a snapshot.
    """
    methods = _SnapshotMethods(snapshots, restored)
    return {
        "list_snapshots": methods.list_snapshots,
        "offer_snapshot": methods.offer_snapshot,
        "load_snapshot_chunk": methods.load_snapshot_chunk,
        "apply_snapshot_chunk": methods.apply_snapshot_chunk,
    }


class _SnapshotMethods:
    def __init__(self, snapshots: SnapshotService | None, restored: Callable[[], None]) -> None:
        self._snapshots = snapshots
        self._restored = restored

    def list_snapshots(self, request: Any) -> Any:
        del request
        offered = () if self._snapshots is None else self._snapshots.offered()
        snapshots = [
            message_class(f"{PACKAGE}.Snapshot")(
                height=one.manifest.height,
                format=FORMAT,
                chunks=len(one.manifest.chunks),
                hash=hashlib.sha256(one.raw).digest(),
                metadata=one.raw,
            )
            for one in offered
        ]
        return _response("ListSnapshots", snapshots=snapshots)

    def offer_snapshot(self, request: Any) -> Any:
        if self._snapshots is None:
            return _response("OfferSnapshot", result=Offer.REJECT.value)
        one = request.snapshot
        offer = self._snapshots.offer(
            one.height, one.format, one.chunks, one.hash, one.metadata, request.app_hash
        )
        return _response("OfferSnapshot", result=offer.value)

    def load_snapshot_chunk(self, request: Any) -> Any:
        chunk = None
        if self._snapshots is not None:
            chunk = self._snapshots.chunk(request.height, request.format, request.chunk)
        return _response("LoadSnapshotChunk", **({} if chunk is None else {"chunk": chunk}))

    def apply_snapshot_chunk(self, request: Any) -> Any:
        if self._snapshots is None:
            return _response("ApplySnapshotChunk", result=Verdict.REJECT_SNAPSHOT.value)
        before = self._snapshots.restored
        applied = self._snapshots.apply(request.index, request.chunk, request.sender)
        if self._snapshots.restored != before:
            self._restored()
        return _response(
            "ApplySnapshotChunk",
            result=applied.verdict.value,
            refetch_chunks=applied.refetch,
            reject_senders=applied.rejected_senders,
        )


def _response(name: str, **fields: Any) -> Any:
    return message_class(f"{PACKAGE}.Response{name}")(**fields)
