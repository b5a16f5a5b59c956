"""`POST /league/v1/ledger/transactions`: a transaction of a member that has no engine.

The member is who signed the request. What it sends is judged like everything that reaches the ledger
application; the verdict is a body of its own form, since breaking a rule of the ledger is no error of this
request.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, Protocol

from starlette.requests import Request
from starlette.responses import Response

from hansa.api.bodies import json_body
from hansa.api.callers import signing_member
from hansa.api.parameters import Parameters
from hansa.api.responses import json_response
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.http import CallerCheck
from hansa.core.limits import Limits
from hansa.pubsub.light_member.wire import SubmissionVerdict

AT_ONCE_MAX: Final = 16
AT_ONCE_PER_MEMBER_MAX: Final = 2
_NO_VERDICT: Final = frozenset({Code.UNAVAILABLE, Code.INTERNAL})
"""Codes of a ledger that did not judge."""


class Submits(Protocol):
    """What takes transactions."""

    async def submit(self, transaction: bytes) -> None:
        """Submit a transaction. Raises `Refused`, with the code of a rule, or `Unavailable`."""


class NoSubmissions:
    """Of a member without a ledger."""

    async def submit(self, transaction: bytes) -> None:
        """None."""
        del transaction
        raise Unavailable(Code.UNAVAILABLE, "Nothing is submitted here.")


class SubmissionsApi:
    """Takes transactions of members.

    Args:
        ledger: Takes them.
        check: Finds out which member calls.
        limits: `transaction_size_max_bytes`.
    """

    def __init__(self, ledger: Submits, check: CallerCheck, limits: Limits) -> None:
        self._ledger = ledger
        self._check = check
        self._limits = limits
        self._under_way: Counter[str] = Counter()

    async def add(self, request: Request) -> Response:
        """`POST /league/v1/ledger/transactions`."""
        Parameters(request, (), self._limits)
        transaction = await json_body(request, self._limits.transaction_size_max_bytes)
        member = await signing_member(self._check, request, transaction)
        if member is None:
            raise Refused(Code.UNAUTHENTICATED, "This is for members of the league: sign the request.")
        is_over = self._under_way.total() >= AT_ONCE_MAX or self._under_way[member] >= AT_ONCE_PER_MEMBER_MAX
        if is_over:
            raise Unavailable(Code.OVERLOADED, "Too many transactions are being submitted at once.")
        self._under_way[member] += 1
        try:
            return json_response(await self._verdict(transaction))
        finally:
            self._under_way[member] -= 1
            if not self._under_way[member]:
                del self._under_way[member]

    async def _verdict(self, transaction: bytes) -> SubmissionVerdict:
        try:
            await self._ledger.submit(transaction)
        except Refused as refusal:
            return SubmissionVerdict("refused", str(refusal.code))
        except Unavailable as error:
            if error.code in _NO_VERDICT:
                raise
            return SubmissionVerdict("later", str(error.code), error.retry_after_s)
        return SubmissionVerdict("waits")
