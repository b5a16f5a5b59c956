"""What was signed and refused: remembered, and bounded for each sender.

A batch that its sender signed and that no block can have costs a full check: reading, a Merkle root,
look-ups. It uses up no quota, since nothing is committed, so a member could have every other member check as
many as it likes. What a sender had checked in vain is counted here, at this member alone and by its clock;
beyond a bound its transactions are refused unread for a while. Only what carries its signature counts.

The same bytes count once, however often and by whomever they are sent again: somebody else could repeat them
to have their sender refused. They get the same answer again unread. A batch that does not continue its chains
is checked a few times, since its predecessor may come after it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from hansa.core.cache import Cache
from hansa.core.errors import Code
from hansa.pubsub.ledger.commitments.stored import IssuerState
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.results import CHECKED_IN_VAIN, Rule, RuleBroken
from hansa.pubsub.ledger.rules.quotas import check_quotas, spend
from hansa.pubsub.ledger.state import Load

REFUSED_REMEMBERED_MAX: Final = 4096
CHECKS_MAX: Final = 3
"""Of one batch that does not continue its chains."""
IN_VAIN_MAX: Final = LedgerParams(issuer_events_per_s=200, issuer_burst_s=10, issuer_bytes_per_day=2**62)
"""How many events of a sender are checked in vain: some 6 ms of work a second, and room for an honest sender
that looks for the one event of a batch that is refused."""


class _Refused(msgspec.Struct, frozen=True):
    """A batch that was refused.

    Not the exception itself: its traceback would retain the transaction, and all that was made of it.
    """

    rule: Rule
    message: str
    checks: int


class RefusedTransactions:
    """What was checked in vain. Bounded."""

    def __init__(self) -> None:
        self._refused: Cache[bytes, _Refused] = Cache("ledger_refused_transactions", REFUSED_REMEMBERED_MAX)
        self._in_vain: dict[str, IssuerState] = {}
        """By the DID of senders that signed something that was refused."""

    def check_known(self, digest: bytes) -> None:
        """Give the same answer again.

        Raises:
            RuleBroken: by which the transaction of that hash was refused.
        """
        known = self._refused.peek(digest)
        if known is None:
            return
        may_follow = known.rule.code is Code.EVENT_VERSION_BROKEN and known.checks < CHECKS_MAX
        if not may_follow:
            raise known.rule.broken(known.message)

    def check_sender(self, did: str, time_ms: int) -> None:
        """Refuse a sender that had too much checked in vain.

        Raises:
            RuleBroken: `CHECKED_IN_VAIN`, with the time to wait.
        """
        sender = self._in_vain.get(did)
        if sender is None:
            return
        try:
            check_quotas(sender, Load(1, 0), IN_VAIN_MAX, time_ms)
        except RuleBroken as broken:
            message = f"Too much of what {did} signed was refused here."
            raise CHECKED_IN_VAIN.broken(message, broken.wait_ms) from broken

    def count(self, did: str, load: Load, time_ms: int) -> None:
        """Count what a sender signed and was checked in vain."""
        sender = self._in_vain.get(did, IssuerState(did))
        self._in_vain[did] = spend(sender, Load(load.events, 0), IN_VAIN_MAX, time_ms)

    def note(self, digest: bytes, did: str, load: Load, time_ms: int, refusal: RuleBroken) -> None:
        """Take note of a signed transaction that was checked and refused."""
        known = self._refused.peek(digest)
        if known is None:
            self.count(did, load, time_ms)
        if not refusal.wait_ms:
            checks = 1 + (known.checks if known is not None else 0)
            self._refused.put(digest, _Refused(refusal.rule, refusal.message, checks))

    def clear(self) -> None:
        """Forget the answers: the registry has changed."""
        self._refused.clear()
