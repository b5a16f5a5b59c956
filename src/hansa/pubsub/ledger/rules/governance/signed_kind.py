"""What the kinds `propose`, `vote` and `member` share: one JWS, and its sender."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec

from hansa.core.closed_json import Record
from hansa.core.errors import Refused
from hansa.core.governance.forms import jws_text
from hansa.core.jws import CompactJws
from hansa.pubsub.ledger.commitments.governance import JWS_LENGTH_MAX_CHARS
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.results import FORM as TRANSACTION_FORM
from hansa.pubsub.ledger.results import Rule
from hansa.pubsub.ledger.rules.governance.refusals import SENDER_RULES
from hansa.pubsub.ledger.rules.governance.senders import (
    Signed,
    check_sender,
    record_sender,
    sender_key,
    verify_signed,
)
from hansa.pubsub.ledger.rules.kind import GOVERNANCE_LANE, CheckContext, Kind, Sender
from hansa.pubsub.ledger.state import Overlay, StateView

SUFFIX: Final = b'"}'
_JWS: Final = re.compile(rb"[A-Za-z0-9_.-]+")
CHECK_EVENTS: Final = 4
"""A check costs as much as that of so many events."""


class SignedStep(msgspec.Struct, frozen=True):
    """What a member signed, and the transaction with it."""

    signed: Signed
    payload: Any
    """Of the kind's form."""
    raw: bytes


class SignedPayload(msgspec.Struct, frozen=True):
    """A field with a JWS, and how it is read."""

    name: str
    """Of the kind."""
    field: str
    """The one field of its transactions."""
    read: Callable[[str], tuple[Any, CompactJws]]
    """The payload of a JWS, and its parts. Raises `Refused`."""
    signed_of: Callable[[Any, str, CompactJws], Signed]
    """Who sent a payload, from its JWS and the parts of that."""
    check_size: Callable[[str, LedgerParams], None]
    """Of the JWS, against the limits of the league. Raises `RuleBroken`."""

    @property
    def prefix(self) -> bytes:
        """What transactions begin with; the JWS and `SUFFIX` follow."""
        return b'{"kind":"%b","%b":"' % (self.name.encode("ascii"), self.field.encode("ascii"))

    def signed(self, compact: str) -> tuple[Signed, Any]:
        """Who sent a JWS, and its payload.

        Raises:
            RuleBroken: `FORM` of transactions.
        """
        try:
            payload, parts = self.read(compact)
        except Refused as error:
            message = f"The {self.field} is not in its one form: {error.message}"
            raise TRANSACTION_FORM.broken(message) from error
        return self.signed_of(payload, compact, parts), payload

    def admit(self, state: StateView, raw: bytes) -> Sender:
        """See `Kind.admit`."""
        jws = raw[len(self.prefix) : -len(SUFFIX)]
        if not (raw.startswith(self.prefix) and raw.endswith(SUFFIX) and _JWS.fullmatch(jws)):
            raise TRANSACTION_FORM.broken(f"This is not a transaction with a {self.field}.")
        compact = jws.decode("ascii")
        self.check_size(compact, state.params)
        signed, _ = self.signed(compact)
        jwk = sender_key(state, signed)
        return Sender(
            signed.did,
            signed.seq,
            verify=partial(verify_signed, signed, jwk),
            lane=GOVERNANCE_LANE,
            check_events=CHECK_EVENTS,
        )

    def decode(self, transaction: Any) -> tuple[SignedStep]:
        """See `Kind.decode`."""
        compact = getattr(transaction, self.field)
        signed, payload = self.signed(compact)
        return (SignedStep(signed, payload, self.prefix + compact.encode("ascii") + SUFFIX),)


def signed_kind(
    payload: SignedPayload,
    rules: tuple[Rule, ...],
    check: Callable[[Overlay, SignedStep, CheckContext], None],
    apply: Callable[[Overlay, SignedStep], None],
) -> Kind[Any, SignedStep]:
    """A kind of transactions with one JWS.

    Args:
        payload: How it is read.
        rules: Beside those of senders.
        check: Of the payload, after the sender's.
        apply: Its changes, after the sender is noted.
    """
    wire = msgspec.defstruct(f"{payload.name.title()}Transaction", [(payload.field, str)], frozen=True)

    def check_step(state: StateView, step: SignedStep, context: CheckContext) -> None:
        assert isinstance(state, Overlay), "a step is checked on the state that it changes"
        check_sender(state, step.signed, context)
        check(state, step, context)

    def apply_step(state: Overlay, step: SignedStep) -> None:
        record_sender(state, step.signed, step.raw)
        apply(state, step)

    return Kind(
        name=payload.name,
        form=Record({payload.field: jws_text(JWS_LENGTH_MAX_CHARS)}),
        fields=wire,
        rules=(*SENDER_RULES, *rules),
        admit=payload.admit,
        check_form=lambda transaction, params: payload.check_size(
            getattr(transaction, payload.field), params
        ),
        decode=payload.decode,
        check=check_step,
        apply=apply_step,
    )
