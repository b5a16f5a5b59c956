"""Transactions of a light member go to the ledger through the members that it follows.

A member's verdict is its word alone. Whether a transaction breaks a rule, this member judges itself, by the
rules of the ledger and the state that it has verified; what is valid is handed to one member after another,
until one takes it. It is then expected on the ledger soon. While it is not there, the bus submits it anew
(`hansa.pubsub.ledger_bus`); each time the member that took it last is noted to withhold, and another one is
asked. So neither a refusal nor a promise of a member that lies does more than cost time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

import structlog

from hansa.core.clock import Clock
from hansa.core.errors import Code, HansaError, Refused, Unavailable
from hansa.core.http import RequestSigner
from hansa.pubsub.light_member.followed import FollowedMember
from hansa.pubsub.light_member.wire import SubmissionVerdict

SUBMISSION_PATIENCE_S: Final = 1.5
"""How long a member that took a transaction may be without a block that has it. Less than the bus waits."""

ATTEMPTS_MAX: Final = 16
KEYS_MAX: Final = 16

log = structlog.get_logger("hansa.pubsub")


class _Taken(NamedTuple):
    """An attempt that a member took."""

    source: FollowedMember
    number: int
    at_s: float


class Submissions:
    """Submits for one light member.

    Args:
        sources: Through which a transaction may go now, the preferred ones first.
        did_of: DID of the member at an endpoint; None when the registry has none there.
        signer: Proves to a member who asks.
        refusal_of: What the rules make of a transaction by the state that was verified here.
        catch_up: Has that state be as far as theirs.
        clock: For how long a transaction is on its way.
    """

    def __init__(
        self,
        sources: Callable[[], Sequence[FollowedMember]],
        did_of: Callable[[str], str | None],
        signer: RequestSigner,
        refusal_of: Callable[[bytes], Awaitable[Refused | Unavailable | None]],
        catch_up: Callable[[], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._sources = sources
        self._did_of = did_of
        self._signer = signer
        self._refusal_of = refusal_of
        self._catch_up = catch_up
        self._clock = clock
        self._taken: dict[str, list[_Taken]] = {}
        """Who took what is not on the ledger yet, by what it is."""

    def note_committed(self, key: str, number: int | None = None) -> None:
        """Something that was submitted is on the ledger.

        Whoever took an earlier attempt has withheld it. While nothing is committed nobody is blamed: the
        league may lack a quorum.

        Args:
            key: What it is, as in `submit`.
            number: Of the attempt that was committed; by default the last.
        """
        taken = self._taken.pop(key, [])
        committed = taken[-1].number if number is None and taken else number
        for one in taken:
            if one.number == committed:
                one.source.note_committed()
            elif committed is not None and one.number < committed:
                one.source.note_submission_lost()

    async def submit(self, transaction: bytes, key: str, number: int) -> None:
        """Hand a transaction to one member after another, until one takes it.

        Args:
            transaction: What it is.
            key: Attempts to have the same thing committed have the same.
            number: Of the attempt; grows.

        Raises:
            Refused: the code of the rule that it breaks.
            Unavailable: nobody takes it now, or it may be valid later.
        """
        self._pass_over_last(key)
        if await self._refusal_of(transaction) is not None:
            await self._raise_refusal(transaction)
        verdicts: list[SubmissionVerdict] = []
        for source in self._sources():
            verdict = await self._verdict_of(source, transaction)
            if verdict is None:
                continue
            if verdict.outcome == "waits":
                self._note_taken(key, _Taken(source, number, self._clock.monotonic()))
                return
            verdicts.append(verdict)
        if not verdicts:
            raise Unavailable(Code.UNAVAILABLE, "No followed member takes a transaction now.")
        await self._raise_refusal(transaction)
        codes = ", ".join(sorted({str(one.known_code) for one in verdicts}))
        raise Unavailable(
            Code.OVERLOADED,
            f"None of {len(verdicts)} followed members takes it now ({codes}).",
            max(1.0, min(one.wait_s for one in verdicts)),
        )

    async def _raise_refusal(self, transaction: bytes) -> None:
        """Raise what the rules make of a transaction, once what is here is as far as what the others have."""
        with suppress(HansaError):
            await self._catch_up()
        refusal = await self._refusal_of(transaction)
        if refusal is not None:
            raise refusal

    def _pass_over_last(self, key: str) -> None:
        """It is submitted anew: another member is asked before the one that took it last."""
        taken = self._taken.get(key)
        if taken and self._clock.monotonic() - taken[-1].at_s >= SUBMISSION_PATIENCE_S:
            taken[-1].source.note_submission_failed()

    def _note_taken(self, key: str, taken: _Taken) -> None:
        attempts = self._taken.setdefault(key, [])
        attempts.append(taken)
        del attempts[:-ATTEMPTS_MAX]
        while len(self._taken) > KEYS_MAX:
            del self._taken[next(iter(self._taken))]

    async def _verdict_of(self, source: FollowedMember, transaction: bytes) -> SubmissionVerdict | None:
        did = self._did_of(source.endpoint)
        if did is None:
            return None
        try:
            return await source.submit(transaction, did, self._signer)
        except HansaError as error:
            log.info("submission_failed", endpoint=source.endpoint, code=error.code, reason=error.message)
            source.note_submission_failed()
            return None
