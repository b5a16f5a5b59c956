"""Bundles that an origin has pushed, and this marketplace has missed, pulled from it by their addresses.

Where many versions of one origin are requested at once, its list of bundles is read first: one small request
says which bundles have events at the positions of the versions, and each of them brings up to a batch. What
they bring is compared with what is requested. What is in none of them, an origin without
bundles, or one that fails at any step, costs no more than these requests: the versions are requested one by
one then.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec
import structlog

from hansa.core.bounded_json import UNREADABLE
from hansa.core.canonical import hashlink
from hansa.core.clock import Clock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.http import HttpClient, HttpRequest, RequestSigner
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.core.thread_work import run_refusable
from hansa.replication.announced.bundles import BUNDLES_PATH, SIZE_MAX_BYTES, address, unpacked
from hansa.replication.announced.retained_bundles import BundleList, ListedBundle
from hansa.replication.exchange import ResponseLine
from hansa.store.tables.heads import Retrieval

VERSIONS_MIN: Final = 20
"""Fewer are requested one by one."""
PULLED_MAX: Final = 8
"""Bundles for one batch."""
LIST_MAX_BYTES: Final = 65_536
WITHOUT_S: Final = 60.0
"""For how long an origin that had no bundle for a batch, or failed, is not asked for any."""

log = structlog.get_logger()
_list_decoder: Final = msgspec.json.Decoder(BundleList)


class BundlePull:
    """Pulls bundles.

    Args:
        http: Sends to members alone.
        signer: Proves to a member which one asks.
        clock: For pauses.
        limits: `retrieval_timeout_s`.
    """

    def __init__(self, http: HttpClient, signer: RequestSigner, clock: Clock, limits: Limits) -> None:
        self._http = http
        self._signer = signer
        self._clock = clock
        self._limits = limits
        self._without_until_s: dict[str, float] = {}
        """Origins without bundles, with when they are asked again, by the monotonic clock."""
        self.pulled = 0
        """Bundles since the start."""

    async def held(self, origin: Member, batch: Sequence[Retrieval]) -> dict[Retrieval, ResponseLine]:
        """Those of some versions that bundles of their origin have, by their hashes."""
        now_s = self._clock.monotonic()
        if len(batch) < VERSIONS_MIN or self._without_until_s.get(origin.did, 0.0) > now_s:
            return {}
        lines: dict[Retrieval, ResponseLine] = {}
        is_answering = True
        try:
            listed = await self._listed(origin, min(one.position for one in batch) - 1)
            for bundle in _needed(listed, batch)[:PULLED_MAX]:
                lines |= await self._held_in(origin, bundle, batch)
        except (Refused, Unavailable) as error:
            log.info("bundles_not_pulled", issuer=origin.did, code=str(error.code))
            is_answering = False
        if not lines or not is_answering:
            self._without_until_s[origin.did] = now_s + WITHOUT_S
        return lines

    async def _listed(self, origin: Member, after: int) -> tuple[ListedBundle, ...]:
        body = await self._get(origin, f"{BUNDLES_PATH}?after={after}", LIST_MAX_BYTES)
        try:
            return _list_decoder.decode(body).bundles
        except UNREADABLE as error:
            raise Refused(Code.RETRIEVAL_ANSWER_INVALID, "A list of bundles is not of its form.") from error

    async def _held_in(
        self, origin: Member, bundle: ListedBundle, batch: Sequence[Retrieval]
    ) -> dict[Retrieval, ResponseLine]:
        raw = await self._get(origin, f"{BUNDLES_PATH}/{bundle.digest}", SIZE_MAX_BYTES)
        self.pulled += 1
        return await run_refusable(None, partial(_held_in, bundle.digest, raw, batch))

    async def _get(self, origin: Member, path: str, size_max_bytes: int) -> bytes:
        url = origin.endpoint + path
        headers = self._signer.headers(origin.did, "GET", url, b"")
        timeout_s = self._limits.retrieval_timeout_s
        response = await self._http.send(HttpRequest("GET", url, headers, b"", timeout_s, size_max_bytes))
        if response.status != 200:
            raise Refused(Code.RETRIEVAL_ANSWER_INVALID, f"A bundle was answered {response.status}.")
        return response.body


def _needed(listed: Sequence[ListedBundle], batch: Sequence[Retrieval]) -> list[ListedBundle]:
    """The bundles among whose positions some versions are."""
    positions = [one.position for one in batch]
    return [
        one
        for one in listed
        if len(one.digest) == 64
        and one.digest.isalnum()
        and any(one.first_position <= position <= one.last_position for position in positions)
    ]


def _held_in(digest: str, raw: bytes, batch: Sequence[Retrieval]) -> dict[Retrieval, ResponseLine]:
    """The lines of the versions whose bytes, by their hashes, are in the bundle at an address.

    Raises:
        Refused: It is another bundle, or none.
    """
    if address(raw) != digest:
        raise Refused(Code.RETRIEVAL_ANSWER_INVALID, "The bundle is not the one of its address.")
    bodies = {(part.key, part.hashlink): part.entity for part in unpacked(raw)}
    return {
        one: ResponseLine(one.key, "found", body)
        for one in batch
        if (body := bodies.get((one.key, one.hashlink))) is not None and hashlink(bytes(body)) == one.hashlink
    }
