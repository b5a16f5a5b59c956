"""A ledger application that its member has changed.

`python -m tests.league.hostile_ledger MODE --state FILE --socket FILE`

It stands behind a real engine in the place of the right one (`tests.league.serve_with_ledger`), keeps the
ledger's state as everybody does, and differs at the interface to its engine:

proposer    its blocks hold what no block may hold, in turns; it accepts every block of others, and every
            transaction once, so that its engine hands all of them on and has room for the next
contrary    it rejects every block of others, so that its votes contradict those of a right application
liar        it computes another application hash than everybody
brittle     it ends at every block with an event of a category, as a release with a fault does
mended      it refuses such events and such blocks, as the release after that does
"""

from __future__ import annotations

import base64
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from hansa.pubsub.ledger import __main__ as ledger_process
from hansa.pubsub.ledger.messages import PACKAGE, Response, enum_values, message_class
from hansa.pubsub.ledger.methods import AbciMethods
from hansa.pubsub.ledger.results import CODESPACE, FORM

DEPTH: Final = 1100
POISON: Final = b'"categoryCreateEvent"'
COMMITTED_MAX: Final = 20
"""How many transactions it remembers for proposing them again."""
_RECHECK: Final = enum_values(f"{PACKAGE}.CheckTxType")["RECHECK"]
_STATUSES: Final = enum_values(f"{PACKAGE}.ResponseProcessProposal.ProposalStatus")

Block = Callable[[Sequence[bytes], Sequence[bytes], Sequence[bytes]], Sequence[bytes]]
"""Makes a bad block of what may be proposed, of what waits, and of what was committed before."""


def deep_transaction() -> bytes:
    """A transaction with a header that exhausts the stack of a recursive parser."""
    header = b'{"alg":"ES256","kid":"k","typ":"jose","x":' + b"[" * DEPTH + b"]" * DEPTH + b"}"
    jws = base64.urlsafe_b64encode(header).rstrip(b"=") + b".e30." + b"A" * 86
    return b'{"kind":"events","events":["' + jws + b'"]}'


BLOCKS: Final[dict[str, Block]] = {
    "right": lambda valid, _waiting, _committed: valid,
    "every transaction twice": lambda valid, _waiting, _committed: [*valid, *valid],
    "poison": lambda valid, _waiting, _committed: [*valid, deep_transaction()],
    "garbage": lambda valid, _waiting, _committed: [b"\xff\x00garbage", *valid, b"{"],
    "committed before": lambda valid, _waiting, committed: [*valid, *list(committed)[-3:]],
    "whatever waits": lambda _valid, waiting, _committed: waiting,
    "backwards": lambda valid, waiting, _committed: [*reversed(valid), *waiting[:1]],
    "empty": lambda _valid, _waiting, _committed: [],
    "nothing many times": lambda valid, _waiting, _committed: [*valid, *([b""] * 500)],
    "one transaction without end": lambda valid, waiting, _committed: [*valid, *(list(waiting[:1]) * 2000)],
}
"""Its blocks, proposed one kind after the other."""


class ProposerMethods(AbciMethods):
    """Proposes what it likes and accepts everything."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._proposals = 0
        self._committed: deque[bytes] = deque(maxlen=COMMITTED_MAX)

    def answer(self, request: Any) -> Any:
        """The right answer with the difference."""
        right = super().answer(request)
        name = request.WhichOneof("value")
        if name == "check_tx":
            code = 1 if request.check_tx.type == _RECHECK else 0
            return Response(check_tx=message_class(f"{PACKAGE}.ResponseCheckTx")(code=code))
        if name == "process_proposal":
            right.process_proposal.status = _STATUSES["ACCEPT"]
        elif name == "prepare_proposal":
            return self._propose(request.prepare_proposal, list(right.prepare_proposal.txs))
        elif name == "finalize_block":
            self._committed += request.finalize_block.txs
        return right

    def _propose(self, request: Any, valid: Sequence[bytes]) -> Any:
        kind = list(BLOCKS)[self._proposals % len(BLOCKS)]
        self._proposals += 1
        drawn = BLOCKS[kind](valid, list(request.txs), tuple(self._committed))
        self._logger.info("hostile_proposal", kind=kind, transactions=len(drawn))
        made = message_class(f"{PACKAGE}.ResponsePrepareProposal")(txs=within(drawn, request.max_tx_bytes))
        return Response(prepare_proposal=made)


class ContraryMethods(AbciMethods):
    """Rejects every block."""

    def answer(self, request: Any) -> Any:
        """The right answer with the difference."""
        right = super().answer(request)
        if request.WhichOneof("value") == "process_proposal":
            right.process_proposal.status = _STATUSES["REJECT"]
        return right


class LiarMethods(AbciMethods):
    """Computes another application hash from the tenth block on."""

    def answer(self, request: Any) -> Any:
        """The right answer with the difference."""
        right = super().answer(request)
        if request.WhichOneof("value") == "finalize_block" and request.finalize_block.height >= 10:
            right.finalize_block.app_hash = bytes(32)
        return right


class BrittleMethods(AbciMethods):
    """Ends at a block with `POISON`, wherever it meets it."""

    def answer(self, request: Any) -> Any:
        """The right answer, unless it ends before."""
        name = request.WhichOneof("value")
        if name in {"process_proposal", "finalize_block"} and is_poisoned(getattr(request, name).txs):
            os._exit(70)
        return super().answer(request)


class MendedMethods(AbciMethods):
    """Refuses `POISON`."""

    def answer(self, request: Any) -> Any:
        """The right answer with the difference."""
        name = request.WhichOneof("value")
        if name == "check_tx" and is_poisoned([request.check_tx.tx]):
            refused = {"code": FORM.number, "codespace": CODESPACE, "log": "refused by this release"}
            return Response(check_tx=message_class(f"{PACKAGE}.ResponseCheckTx")(**refused))
        right = super().answer(request)
        if name == "process_proposal" and is_poisoned(request.process_proposal.txs):
            right.process_proposal.status = _STATUSES["REJECT"]
        return right


def is_poisoned(transactions: Iterable[bytes]) -> bool:
    """Whether one of them has an event of a category."""
    return any(POISON in raw for raw in transactions)


def within(transactions: Sequence[bytes], size_max_bytes: int) -> list[bytes]:
    """The first transactions that fit; an engine gives up when its own application proposes more."""
    chosen: list[bytes] = []
    size_bytes = 0
    for raw in transactions:
        size_bytes += len(raw) + 6
        if size_bytes > size_max_bytes:
            break
        chosen.append(raw)
    return chosen


METHODS: Final[dict[str, type[AbciMethods]]] = {
    "proposer": ProposerMethods,
    "contrary": ContraryMethods,
    "liar": LiarMethods,
    "brittle": BrittleMethods,
    "mended": MendedMethods,
}

if __name__ == "__main__":
    ledger_process.AbciMethods = METHODS[sys.argv[1]]  # type: ignore[attr-defined]
    raise SystemExit(ledger_process.main(sys.argv[2:]))
