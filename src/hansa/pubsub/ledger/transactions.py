"""Reading transactions of any kind.

There is exactly one byte string for a transaction, so that nobody can flood the ledger with look-alikes of
one. Bytes come from strangers, and every member must make the same of them: closed forms read them, no
library does.

A transaction is read at least four times: in CheckTx, PrepareProposal, ProcessProposal and FinalizeBlock. The
outcome depends on its bytes, the rule set and the league's limits alone, so `TransactionReader` caches it by
the hash of the bytes, as long as rule set and limits stay. The cache is bounded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hansa.core.cache import Cache
from hansa.core.errors import Refused
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.results import FORM, SIZE
from hansa.pubsub.ledger.rules.kind import CheckContext, Kind, Sender
from hansa.pubsub.ledger.rules.rulesets import RULESETS, Ruleset
from hansa.pubsub.ledger.rules.signatures import Signatures
from hansa.pubsub.ledger.state import StateView

CACHED_MAX_BYTES: Final = 8_000_000
"""Of transactions as they are submitted; decoded they take three times as much. Several times what may wait
for a block."""


class LedgerTransaction(msgspec.Struct, frozen=True):
    """A transaction that was read: its form is right, its steps are not checked against any state."""

    kind: Kind[Any, Any]
    steps: tuple[Any, ...]
    size_bytes: int


class TransactionReader:
    """Yielding bytes into transactions under the rule set of a state.

    Args:
        rulesets: By their names.
        cached_max_bytes: Of transactions that are cached; 0: none.
    """

    def __init__(
        self, rulesets: Mapping[str, Ruleset] = RULESETS, cached_max_bytes: int = CACHED_MAX_BYTES
    ) -> None:
        self._rulesets = rulesets
        self._judged_by: tuple[str, LedgerParams] | None = None
        """Rule set and limits under which the cached transactions were read."""
        self._cache: Cache[bytes, LedgerTransaction] = Cache(
            "ledger_transactions",
            max(1, cached_max_bytes),
            cached_max_bytes,
            lambda transaction: transaction.size_bytes,
        )
        self.context = CheckContext(Signatures())

    def read(self, raw: bytes, state: StateView) -> LedgerTransaction:
        """A transaction within the ledger's limits, its signatures not verified yet.

        Args:
            raw: The transaction.
            state: Before it; says by which rules it is read, and refuses replays of what is not cached
                before they are read.

        Raises:
            RuleBroken: a rule of transactions or of the kind's form.
        """
        digest = hashlib.sha256(raw).digest()
        self._forget_others(state)
        cached = self._cache.get(digest)
        if cached is not None:
            return cached
        kind = self._kind(raw, state)
        kind.admit(state, raw)
        try:
            fields = kind.read(raw)
        except Refused as error:
            raise FORM.broken(f"The transaction is not in its one form: {error.message}") from error
        kind.check_form(fields, state.params)
        transaction = LedgerTransaction(kind, tuple(kind.decode(fields)), len(raw))
        assert transaction.steps, "a transaction has a step"
        self._cache.put(digest, transaction)
        return transaction

    def sender(self, raw: bytes, state: StateView) -> Sender:
        """Whose a transaction is, by its first bytes alone; refuses replays and what strangers send.

        Raises:
            RuleBroken: a rule of transactions or of the kind.
        """
        return self._kind(raw, state).admit(state, raw)

    def rules(self, state: StateView) -> Ruleset:
        """Those by which a state judges."""
        return self._rulesets[state.ruleset]

    def _forget_others(self, state: StateView) -> None:
        """Drop what was read under other rules."""
        judged_by = state.ruleset, state.params
        if judged_by != self._judged_by:
            self._cache.clear()
            self._judged_by = judged_by

    def _kind(self, raw: bytes, state: StateView) -> Kind[Any, Any]:
        """The kind of a transaction within the ledger's limits."""
        size_max_bytes = state.params.transaction_size_max_bytes
        if len(raw) > size_max_bytes:
            raise SIZE.broken(f"The transaction has {len(raw)} bytes; {size_max_bytes} are allowed.")
        kind = next((kind for kind in self.rules(state).kinds if raw.startswith(kind.prefix)), None)
        if kind is None:
            raise FORM.broken("This is not a transaction of a known kind.")
        return kind
