"""The last bundles that this marketplace has pushed, by their addresses: whoever missed a push pulls them.

A bundle is immutable, and its address is the SHA-256 of its bytes, so whoever has it from anywhere knows what
it is. It is listed with the positions of its events as soon as they are committed. It is retained for
`RETAINED_S`, within a number and a size; the oldest leave first. What left is requested entity by entity.
Whoever serves one has to see that everything in it may still be served: it can have been withdrawn meanwhile.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from hansa.core.clock import Clock
from hansa.replication.announced.bundles import address

RETAINED_S: Final = 300.0
COUNT_MAX: Final = 1000
TOTAL_MAX_BYTES: Final = 33_554_432
LISTED_MAX: Final = 100
EARLY_MAX: Final = 1000
"""Versions that are remembered which were committed before their bundle was made."""

Version = tuple[str, str]
"""Ledger key and hashlink."""


class ListedBundle(msgspec.Struct, frozen=True):
    """A bundle whose events are on the ledger."""

    digest: str
    """Its address: SHA-256 of its bytes, hex."""
    first_position: int
    """Of its events on the ledger."""
    last_position: int
    """Of its events; others' events can be between."""
    size_bytes: int
    """Of the bundle, compressed."""


class BundleList(msgspec.Struct, frozen=True):
    """Some bundles, in the order of their positions."""

    bundles: tuple[ListedBundle, ...]
    """Those of them that are retained."""


class _Retained:
    """One bundle."""

    def __init__(self, raw: bytes, versions: Iterable[Version], until_s: float) -> None:
        self.raw = raw
        self.versions = tuple(versions)
        self.until_s = until_s
        self.listed: ListedBundle | None = None
        assert self.versions, "a bundle has something"


class RetainedBundles:
    """Retains bundles.

    Args:
        clock: For how long.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._bundles: OrderedDict[str, _Retained] = OrderedDict()
        self._early: dict[Version, int] = {}
        """Positions of versions of which no bundle was there."""
        self._digests: dict[Version, str] = {}
        """Of the newest bundle that begins with a version."""
        self._size_bytes = 0

    def put(self, raw: bytes, versions: Iterable[Version]) -> None:
        """Retain a bundle of some versions."""
        now_s = self._clock.monotonic()
        digest = address(raw)
        self._remove(digest)
        retained = self._bundles[digest] = _Retained(raw, versions, now_s + RETAINED_S)
        self._digests[retained.versions[0]] = digest
        self._list(digest, {one: self._early[one] for one in retained.versions if one in self._early})
        self._size_bytes += len(raw)
        while self._bundles and (
            len(self._bundles) > COUNT_MAX
            or self._size_bytes > TOTAL_MAX_BYTES
            or next(iter(self._bundles.values())).until_s <= now_s
        ):
            self._remove(next(iter(self._bundles)))
        assert self._size_bytes <= TOTAL_MAX_BYTES, "bundles have their room and no more"

    def committed(self, versions: Sequence[Version], positions: Sequence[int]) -> None:
        """Versions are on the ledger at some positions: list the bundle that has them."""
        digest = next((self._digests[one] for one in versions if one in self._digests), None)
        position_of = dict(zip(versions, positions, strict=True))
        if digest is not None:
            self._list(digest, position_of)
            return
        self._early |= position_of
        for version in list(self._early)[: max(0, len(self._early) - EARLY_MAX)]:
            del self._early[version]

    def _list(self, digest: str, position_of: Mapping[Version, int]) -> None:
        bundle = self._bundles[digest]
        places = [position_of[one] for one in bundle.versions if one in position_of]
        if places:
            bundle.listed = ListedBundle(digest, min(places), max(places), len(bundle.raw))

    def after(self, position: int) -> BundleList:
        """The first bundles with events after a position."""
        now_s = self._clock.monotonic()
        listed = [
            one.listed
            for one in self._bundles.values()
            if one.listed is not None and one.listed.last_position > position and one.until_s > now_s
        ]
        return BundleList(tuple(sorted(listed, key=lambda one: one.first_position)[:LISTED_MAX]))

    def bundle(self, digest: str) -> tuple[bytes, tuple[Version, ...]] | None:
        """The bytes at an address, once their events are on the ledger, and what is in them.

        None: they are not here.
        """
        retained = self._bundles.get(digest)
        is_served = (
            retained is not None
            and retained.listed is not None
            and retained.until_s > self._clock.monotonic()
        )
        return (retained.raw, retained.versions) if retained is not None and is_served else None

    def _remove(self, digest: str) -> None:
        removed = self._bundles.pop(digest, None)
        if removed is None:
            return
        self._size_bytes -= len(removed.raw)
        if self._digests.get(removed.versions[0]) == digest:
            del self._digests[removed.versions[0]]
