"""What a kind of ledger transaction is.

A transaction is a closed form (`hansa.core.closed_json`): `{"kind":"<name>",` and the fields of its kind,
of which each has one byte string. It passes through five functions and the form of its kind, in this
order:

    admit        one look-up of the state, by the first bytes alone: refuses replays before anything is read
    form         the fields, from bytes of strangers; bytes of another form are refused
    check_form   limits of what was read, cheapest first
    decode       the transaction's steps; what needs no state is checked here
    check        one step against the state after the steps before it
    apply        the changes of a checked step

All steps take effect or none does. The functions are pure: they read no clock, no file and no setting.
Each raises `RuleBroken` with a rule of its kind. What `check` refuses does not depend on `admit`, which
only refuses it earlier. Results of `check_form` and `decode` depend on the bytes alone and are cached.

To add a kind: write its module here, with a value of `Kind`, and name that value in
`hansa.pubsub.ledger.rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

import msgspec

from hansa.core.closed_json import Record
from hansa.core.events import LifecycleEvent
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.results import Rule
from hansa.pubsub.ledger.rules.signatures import Signatures
from hansa.pubsub.ledger.state import NOTHING, Load, Overlay, StateView

WireT = TypeVar("WireT", bound=msgspec.Struct)
StepT = TypeVar("StepT")


class CheckContext(msgspec.Struct, frozen=True):
    """What a check needs beside the state."""

    signatures: Signatures


GOVERNANCE_LANE: Final = "governance "
"""Of proposals, votes and statements: however many events of a sender wait, these do not wait behind them."""


def accept_unverified(context: CheckContext) -> None:
    """Of kinds whose signatures are found by reading the whole transaction."""
    del context


class Sender(msgspec.Struct, frozen=True):
    """Whose a transaction is, by its first bytes: not verified yet."""

    did: str
    seq: int = 0
    """Its number, which grows strictly for a sender; 0 in kinds without numbers, of which one at a time waits
    for a sender."""
    load: Load = NOTHING
    """What it would count against the sender's quotas, if it is what it says."""
    verify: Callable[[CheckContext], None] = accept_unverified
    """Whether the sender signed it. Raises `RuleBroken` of the kind."""
    lane: str = ""
    """Transactions of a sender wait in the queue of their lane, and are numbered in each."""
    check_events: int = 0
    """To check it costs as much as to check so many events."""

    @property
    def queue(self) -> str:
        """The name of the queue in which it waits."""
        return self.lane + self.did


class Kind(msgspec.Struct, Generic[WireT, StepT], frozen=True):
    """One kind of ledger transaction."""

    name: str
    """In lower case; how a transaction says its kind."""
    form: Record
    """The bytes of its fields."""
    fields: type[WireT]
    """Its fields, by the names of the form."""
    rules: tuple[Rule, ...]
    """Every rule that its functions refuse with."""
    admit: Callable[[StateView, bytes], Sender]
    """Its sender, an active member."""
    check_form: Callable[[WireT, LedgerParams], None]
    decode: Callable[[WireT], Sequence[StepT]]
    """At least one step."""
    check: Callable[[StateView, StepT, CheckContext], None]
    apply: Callable[[Overlay, StepT], None]
    events: Callable[[StepT], Sequence[LifecycleEvent]] | None = None
    """Of kinds that commit events and do nothing else: those of a step. Such a transaction has one step, and
    `apply` refuses nothing that `check` lets pass, and changes all or nothing. So its check alone is a
    verdict."""

    def read(self, raw: bytes) -> WireT:
        """The fields of a transaction that begins with `prefix`.

        Raises:
            Refused: `Code.MALFORMED`.
        """
        return self.fields(**self.form.read(b"{" + raw[len(self.prefix) :]))

    def write(self, **fields: Any) -> bytes:
        """The bytes of a transaction."""
        return self.prefix + self.form.write(fields)[1:]

    @property
    def prefix(self) -> bytes:
        """What transactions of the kind begin with, and those of no other."""
        return b'{"kind":"%b",' % self.name.encode("ascii")
