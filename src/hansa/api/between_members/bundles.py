"""`/league/v1/bundles`: what a member announces, many entities in one message.

POST /league/v1/bundles                what another member announces just now, before it is requested
GET  /league/v1/bundles?after=…        addresses of the last own bundles with events after a position
GET  /league/v1/bundles/{digest}       one of them

They are for members that sign the request, and answered with a signature.
"""

from __future__ import annotations

import re
from functools import partial
from http import HTTPStatus
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hansa.api.bodies import typed_body
from hansa.api.callers import answer_headers, signing_member
from hansa.api.parameters import Parameters, position
from hansa.api.responses import JSON
from hansa.core.errors import Code, Refused
from hansa.core.http import AnswerSigner, CallerCheck
from hansa.core.limits import Limits
from hansa.core.thread_work import SMALL_MAX_BYTES, run_refusable
from hansa.replication.announced.bundles import BUNDLE_TYPE, SIZE_MAX_BYTES, unpacked
from hansa.replication.announced.retained_bundles import BundleList, RetainedBundles
from hansa.replication.exchange import RequestedEntity
from hansa.replication.replicas.pushed import PushedParts
from hansa.replication.sources.serving import VersionSource

_DIGEST: Final = re.compile("[0-9a-f]{64}", re.ASCII)


class BundlesApi:
    """Takes bundles, and serves own ones.

    Args:
        check: Finds out which member calls.
        pushed: Where the parts go.
        retained: Own bundles; None: there are none.
        signer: Signs what members are answered; None: nothing is signed.
        source: Knows what may be served.
        limits: Of parameters.
    """

    def __init__(
        self,
        check: CallerCheck,
        pushed: PushedParts,
        retained: RetainedBundles | None,
        signer: AnswerSigner | None,
        source: VersionSource,
        limits: Limits,
    ) -> None:
        self._source = source
        self._check = check
        self._pushed = pushed
        self._retained = retained
        self._signer = signer
        self._limits = limits

    async def push(self, request: Request) -> Response:
        """`POST /league/v1/bundles`."""
        Parameters(request, (), self._limits)
        raw = await typed_body(request, BUNDLE_TYPE, SIZE_MAX_BYTES)
        member = await self._member(request, raw)
        if len(raw) <= SMALL_MAX_BYTES:
            parts = unpacked(raw)
        else:
            parts = await run_refusable(None, partial(unpacked, raw))
        self._pushed.put(member, parts)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def list(self, request: Request) -> Response:
        """`GET /league/v1/bundles`."""
        parameters = Parameters(request, {"after": position}, self._limits)
        member = await self._member(request, b"")
        after = position(parameters, "after")
        listed = self._retained.after(after) if self._retained is not None else BundleList(())
        body = msgspec.json.encode(listed)
        return Response(
            body, media_type=JSON, headers=await answer_headers(self._signer, request, member, body)
        )

    async def one(self, request: Request) -> Response:
        """`GET /league/v1/bundles/{digest}`."""
        Parameters(request, (), self._limits)
        member = await self._member(request, b"")
        digest = request.path_params["digest"]
        if _DIGEST.fullmatch(digest) is None:
            raise Refused(Code.INVALID, "The address of a bundle is a SHA-256 in hex.")
        retained = self._retained.bundle(digest) if self._retained is not None else None
        requested = [RequestedEntity(*one) for one in retained[1]] if retained is not None else []
        versions = await self._source.versions(requested, member)
        if retained is None or not all(one.status == "found" for one in versions):
            raise Refused(Code.NOT_FOUND, "There is no bundle at this address any more.")
        raw, _ = retained
        headers = await answer_headers(self._signer, request, member, raw)
        return Response(raw, media_type=BUNDLE_TYPE, headers=headers)

    async def _member(self, request: Request, body: bytes) -> str:
        member = await signing_member(self._check, request, body)
        if member is None:
            raise Refused(Code.UNAUTHENTICATED, "Bundles are for members that sign the request.")
        return member
