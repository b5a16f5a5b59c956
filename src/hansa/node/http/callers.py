"""Callers, and how much each may have of this process at a time.

A caller is the subject of a token, a member that signs its requests, or else an address. Each has an account:

- *concurrency*: so many requests and so many streams at a time;
- *budget*: seconds of work. A token bucket that fills at a share of one core and holds a burst. A request is
  charged after it has been answered, by what it took: the time it ran on the event loop and in threads
  (`hansa.core.measured_work`) beyond a millisecond, the bytes of its answer beyond a page, and a fixed price
  for a write. Most reads cost nothing.

A caller in debt is refused what may be dear: writes, and reads with a query that was not cheap before. Reads
of one entity, health and lists that were cheap go on, so that a debt is not an outage for others at the
address.

All strangers together have a budget too: while it is overdrawn, those who have taken from their own wait. The
operator and the members have none, and are never refused here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from enum import IntEnum
from math import ceil
from typing import Any, Final, Protocol

from hansa.core.access import OPERATOR, Authenticate
from hansa.core.cache import Cache
from hansa.core.errors import HansaError
from hansa.core.limits import Limits
from hansa.core.web_addresses import area_of, network_of
from hansa.node.http.connection.request_head import NO_FIELDS, Fields

WORK_FREE_S: Final = 0.001
"""A request that takes no longer costs nothing for its time."""
ANSWER_FREE_BYTES: Final = 65_536
ANSWER_BYTES_PER_S: Final = 100e6
"""A longer answer costs a second for so many bytes."""
WRITE_S: Final = 0.00005
"""The price of a write beside its time: what it has others do, as the commit and the ledger."""
CHARGE_MAX_S: Final = 5.0
"""For one request."""
READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
ACCOUNTS_MAX: Final = 65_536
ACCOUNT_IDLE_S: Final = 120.0
CHEAP_TARGETS_MAX: Final = 4096
STRANGERS_STREAMS_SHARE: Final = 0.75
"""Of all streams, for strangers together."""
LEDGER_READERS: Final = 4
"""So many callers have room in the queue of those who read the ledger, whatever each of them wants."""

ACCOUNT: Final = "hansa.account"
"""Name under `extensions` in the scope of a request: the account of its caller."""


class CallerKind(IntEnum):
    """Which kinds of callers there are, in the order in which they give way."""

    STRANGER = 0
    CLIENT = 1
    MEMBER = 2
    OPERATOR = 3


class Budget:
    """Seconds of work that may be done; it fills with time, and is taken from afterwards."""

    __slots__ = ("_at_s", "_level_s", "burst_s", "share")

    def __init__(self, share: float, burst_s: float, now_s: float) -> None:
        self.share = share
        """Of one core: how fast it fills."""
        self.burst_s = burst_s
        """How much it holds."""
        self._level_s = burst_s
        self._at_s = now_s

    def level_s(self, now_s: float) -> float:
        """How much there is; negative after more was taken than there was."""
        self._level_s = min(self.burst_s, self._level_s + self.share * max(0.0, now_s - self._at_s))
        self._at_s = now_s
        return self._level_s

    def take(self, seconds: float, now_s: float) -> None:
        """Take from it. It never owes more than it can hold."""
        self._level_s = max(-self.burst_s, self.level_s(now_s) - seconds)

    def wait_s(self, level_s: float, now_s: float) -> float:
        """How long it takes until there is so much."""
        return max(0.0, (level_s - self.level_s(now_s)) / self.share)


class Account:
    """What one caller has of this process. Used on one event loop."""

    __slots__ = (
        "_book", "budget", "concurrent_max", "is_spent", "kind", "last_seen_s", "ledger_reads", "name",
        "requests", "streams", "upload_bytes",
    )  # fmt: skip

    def __init__(
        self, book: Callers, name: str, kind: CallerKind, budget: Budget | None, concurrent_max: int
    ) -> None:
        self._book = book
        self.name = name
        """The subject, the member's DID, or the address."""
        self.kind = kind
        self.budget = budget
        """None: there is no bound."""
        self.concurrent_max = concurrent_max
        self.requests = 0
        """Under way."""
        self.streams = 0
        """Open."""
        self.ledger_reads = 0
        """Under way or waiting."""
        self.upload_bytes = 0
        """Of bodies that are not complete."""
        self.is_spent = False
        """Whether the budget has been taken from and is not known to be full again."""
        self.last_seen_s = 0.0

    def end_request(self) -> None:
        """A request is over."""
        self.requests -= 1
        assert self.requests >= 0, "every request ends once"

    def wait_s(self, method: str, target: bytes) -> float:
        """How long this request has to wait because the caller is in debt; 0 when it need not.

        Args:
            method: Of the request.
            target: Path and query.
        """
        budget = self.budget
        if budget is None or (method in READS and (b"?" not in target or self._book.cheap.get(target))):
            return 0.0
        now_s = self._book.now_s()
        if budget.level_s(now_s) >= budget.burst_s:
            self.is_spent = False
            return 0.0
        wait_s = budget.wait_s(0.0, now_s)
        if wait_s <= 0 and self.kind is CallerKind.STRANGER:
            wait_s = self._book.strangers.wait_s(0.0, now_s)
        return wait_s

    def begin_stream(self) -> bool:
        """Count a stream instead of a request; False when the caller, or all strangers, have enough."""
        book = self._book
        if self.streams >= book.limits.streams_per_caller_max:
            return False
        if self.kind is CallerKind.STRANGER:
            if book.strangers_streams >= book.limits.streams_max * STRANGERS_STREAMS_SHARE:
                return False
            book.strangers_streams += 1
        self.streams += 1
        self.requests -= 1
        return True

    def end_stream(self) -> None:
        """A stream has ended; its request ends now."""
        if self.kind is CallerKind.STRANGER:
            self._book.strangers_streams -= 1
        self.streams -= 1
        self.requests += 1
        assert self.streams >= 0, "every stream ends once"

    def begin_ledger_read(self) -> bool:
        """Count a reading of the ledger; False when the caller has its part of the queue."""
        if self.ledger_reads >= max(1, self._book.limits.ledger_reads_waiting_max // LEDGER_READERS):
            return False
        self.ledger_reads += 1
        return True

    def end_ledger_read(self) -> None:
        """A reading of the ledger has ended."""
        self.ledger_reads -= 1
        assert self.ledger_reads >= 0, "every reading ends once"

    def charge(self, scope: Mapping[str, Any], work_s: float, answer_bytes: int) -> None:
        """Take what a request took from the budget.

        Args:
            scope: Of the request.
            work_s: Measured.
            answer_bytes: Length of its body.
        """
        budget = self.budget
        if budget is None:
            return
        is_read = scope["method"] in READS
        price_s = 0.0 if is_read else WRITE_S
        if work_s > WORK_FREE_S:
            price_s += work_s - WORK_FREE_S
        if answer_bytes > ANSWER_FREE_BYTES:
            price_s += (answer_bytes - ANSWER_FREE_BYTES) / ANSWER_BYTES_PER_S
        if price_s:
            now_s = self._book.now_s()
            price_s = min(price_s, CHARGE_MAX_S)
            self.is_spent = True
            self._book.cheap.discard(b"%b?%b" % (scope["raw_path"], scope["query_string"]))
            budget.take(price_s, now_s)
            if self.kind is CallerKind.STRANGER:
                self._book.strangers.take(price_s, now_s)
        elif self.is_spent and is_read and scope["query_string"]:
            self._book.cheap.put(b"%b?%b" % (scope["raw_path"], scope["query_string"]), True)

    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """What is left of the budget, in milliseconds of work, and in how many seconds it is full."""
        budget = self.budget
        if budget is None:
            return ()
        now_s = self._book.now_s()
        level_s = max(0.0, budget.level_s(now_s))
        return (
            (b"x-ratelimit-limit", b"%d" % (budget.burst_s * 1000)),
            (b"x-ratelimit-remaining", b"%d" % (level_s * 1000)),
            (b"x-ratelimit-reset", b"%d" % ceil(budget.wait_s(budget.burst_s, now_s))),
        )


class MemberOf(Protocol):
    """Finds out which member's key signed the token of a request, before the request is complete."""

    def __call__(self, headers: Mapping[bytes, bytes]) -> str | None:
        """DID of the member; None without a token.

        Raises:
            Refused: the token does not verify.
        """


class Callers:
    """The accounts.

    Args:
        limits: Of concurrency and of work.
        now_s: The time, in seconds since some fixed moment.
        authenticate: Who a token belongs to; None: nobody has one.
        member_of: Which member signed; None: nobody did.
    """

    def __init__(
        self,
        limits: Limits,
        now_s: Callable[[], float],
        authenticate: Authenticate | None = None,
        member_of: MemberOf | None = None,
    ) -> None:
        self.now_s = now_s
        self.limits: Final = limits
        self._authenticate = authenticate
        self._member_of = member_of
        self._accounts: dict[tuple[CallerKind, str], Account] = {}
        self.cheap: Final[Cache[bytes, bool]] = Cache("cheap_targets", CHEAP_TARGETS_MAX)
        """Targets whose last request cost nothing."""
        self.strangers: Final = Budget(limits.strangers_work_share, limits.work_burst_address_s, now_s())
        """Of all of them together."""
        self.strangers_streams = 0
        """That are open."""

    def account(self, address: str, fields: Fields = NO_FIELDS) -> Account:
        """The account of whoever sends a request with these fields from this address.

        What does not verify is a stranger's: it is the handler that refuses it.
        """
        kind, name = CallerKind.STRANGER, address
        if fields.has_caller:
            with contextlib.suppress(HansaError):
                kind, name = self._identified(fields.by_name) or (kind, name)
        return self._account(kind, name if kind else network_of(name))

    def _identified(self, headers: Mapping[bytes, bytes]) -> tuple[CallerKind, str] | None:
        member = self._member_of(headers) if self._member_of is not None else None
        if member is not None:
            return CallerKind.MEMBER, member
        if self._authenticate is None:
            return None
        caller = self._authenticate(headers)
        if caller.subject is None:
            return None
        return CallerKind.OPERATOR if OPERATOR in caller.roles else CallerKind.CLIENT, caller.subject

    def _account(self, kind: CallerKind, name: str) -> Account:
        account = self._accounts.get((kind, name))
        if account is None:
            if len(self._accounts) >= ACCOUNTS_MAX and kind is CallerKind.STRANGER:
                name = area_of(name)  # whose addresses share one from now on
                if len(self._accounts) >= 2 * ACCOUNTS_MAX:
                    name = ""  # all further ones do
                account = self._accounts.get((kind, name))
            if account is None:
                account = self._new(kind, name)
                self._accounts[kind, name] = account
        account.last_seen_s = self.now_s()
        return account

    def _new(self, kind: CallerKind, name: str) -> Account:
        limits, now_s = self.limits, self.now_s()
        budget = None
        if kind is CallerKind.STRANGER:
            budget = Budget(limits.work_share_per_address, limits.work_burst_address_s, now_s)
        elif kind is CallerKind.CLIENT:
            budget = Budget(limits.work_share_per_subject, limits.work_burst_subject_s, now_s)
        has_bound = kind < CallerKind.MEMBER
        concurrent_max = limits.requests_per_caller_max if has_bound else limits.connections_max
        return Account(self, name, kind, budget, concurrent_max)

    def accounts(self) -> tuple[Account, ...]:
        """All of them."""
        return tuple(self._accounts.values())

    def forget_idle(self) -> None:
        """Remove accounts that nobody uses and that owe nothing."""
        now_s = self.now_s()
        for key, account in tuple(self._accounts.items()):
            budget = account.budget
            is_idle = not account.requests and now_s - account.last_seen_s > ACCOUNT_IDLE_S
            if is_idle and (budget is None or budget.level_s(now_s) >= budget.burst_s):
                del self._accounts[key]
