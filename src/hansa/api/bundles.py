"""`POST /league/v1/bundles`: what another member announces just now, before it is requested."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from hansa.api.bodies import typed_body
from hansa.api.callers import signing_member
from hansa.api.parameters import Parameters
from hansa.core.errors import Code, Refused
from hansa.core.http import CallerCheck
from hansa.core.limits import Limits
from hansa.core.thread_work import SMALL_MAX_BYTES, run_refusable
from hansa.replication.announced.bundles import BUNDLE_TYPE, SIZE_MAX_BYTES, unpacked
from hansa.replication.replicas.pushed import PushedParts


class BundlesApi:
    """Takes bundles.

    Args:
        check: Finds out which member calls.
        pushed: Where the parts go.
        limits: Of parameters.
    """

    def __init__(self, check: CallerCheck, pushed: PushedParts, limits: Limits) -> None:
        self._check = check
        self._pushed = pushed
        self._limits = limits

    async def push(self, request: Request) -> Response:
        """`POST /league/v1/bundles`."""
        Parameters(request, (), self._limits)
        raw = await typed_body(request, BUNDLE_TYPE, SIZE_MAX_BYTES)
        member = await signing_member(self._check, request, raw)
        if member is None:
            raise Refused(Code.UNAUTHENTICATED, "Bundles are taken from members that sign the request.")
        if len(raw) <= SMALL_MAX_BYTES:
            parts = unpacked(raw)
        else:
            parts = await run_refusable(None, partial(unpacked, raw))
        self._pushed.put(member, parts)
        return Response(status_code=HTTPStatus.NO_CONTENT)
