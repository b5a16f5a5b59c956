"""All connections: how many there are, how long each may take for what, and how many bytes they hold.

*Number.* An address (of IPv6, a customer's network) holds so many connections at most, and all addresses
together so many. One more is always taken: it ends another one, of the same address or of the area
(`hansa.core.web_addresses.area_of`) that holds most, which is idle, or else sends or reads slowly. So many
addresses of one attacker end no connection of anybody else. Connections of the operator and of members are
not ended for others.

*Time.* Rounds look at every connection, so many at a moment, in place of a timer for each. A head has a time
to arrive; a body has a time too, which grows with what has arrived, so that there is a least rate; and so has
a response that the client does not take.

*Bytes.* What is received and cannot be used yet (half-read bodies, incomplete heads, requests sent ahead of a
response) and what is not sent yet is added up, of all connections and by caller. Over the ceiling of unsent
bytes, the oldest connections of the area that holds most end; over the ceiling of received bytes, the
request that needs more is refused.
"""

from __future__ import annotations

from enum import IntEnum
from itertools import islice
from typing import Final, Protocol

from hansa.core.limits import Limits
from hansa.core.web_addresses import area_of, network_of
from hansa.node.http.callers import Account, CallerKind
from hansa.node.http.traffic import Refusal, Traffic

CLOSING_MAX_S: Final = 2.0
"""How long a connection may take to end, once everything is sent."""
KEEP_ALIVE_S: Final = 75.0
"""Longer than a reverse proxy's, so that the proxy ends idle connections and never meets a closing one."""
UPLOAD_SHARE_MAX: Final = 0.25
"""Of the room for half-read bodies, for one caller."""
UNSENT_SHARE_MAX: Final = 0.5
"""Of the room for unsent bytes, for one area."""
EVICTIONS_AT_ONCE: Final = 16
LOOKED_AT_MAX: Final = 256
"""Connections at one moment: all of them may have to end, which takes up to a tenth of a millisecond each."""
CANDIDATES_MAX: Final = 64
"""So many connections of an address or area are looked at to find one that can end."""


class Phase(IntEnum):
    """What a connection waits for, in the order in which connections end for others."""

    CLOSING = 0
    IDLE = 1
    """The next request, or the first."""
    HEAD = 2
    """The rest of a head."""
    BODY = 3
    """The rest of a body."""
    WORK = 4
    """The response."""


class Connection(Protocol):
    """A connection, as the registry needs it."""

    address: str
    phase: Phase
    since_s: float
    """When the phase began."""
    received_bytes: int
    """Of the body that arrives."""
    has_requested: bool
    """Whether it has had a request."""
    account: Account
    upload_bytes: int
    """What the registry has counted for its body."""
    ahead_bytes: int
    """What it has counted for an incomplete head, or for requests that wait for the response before."""
    is_trusted_proxy: bool

    def unsent_bytes(self) -> int:
        """What waits for the client to read."""

    def is_reading_paused(self) -> bool:
        """Whether it is this process that lets the client wait."""

    def abort(self) -> None:
        """End at once, and drop what was not sent."""

    def end(self) -> None:
        """End when what has been written is sent."""


class Unsent:
    """What one connection has not sent: since when, and how much it was then and is now."""

    __slots__ = ("area", "is_evictable", "now_bytes", "since_s", "then_bytes")

    def __init__(self, size_bytes: int, since_s: float, area: str, *, is_evictable: bool) -> None:
        self.then_bytes = self.now_bytes = size_bytes
        self.since_s = since_s
        self.area = area
        self.is_evictable = is_evictable
        """Whether the connection may be ended for others; not that of a member or of the operator."""


class Connections:
    """The connections of one server. Used on one event loop.

    Args:
        limits: Of number, time and bytes.
        traffic: Counts what is refused.
        now_s: The time at the start; `tick` moves it.
    """

    def __init__(self, limits: Limits, traffic: Traffic, now_s: float = 0.0) -> None:
        self.limits: Final = limits
        self.traffic: Final = traffic
        self.now_s = now_s
        """As of the last tick: exact enough for times of seconds, and free to read."""
        self.upload_bytes = 0
        """Received and not usable yet: in half-read bodies, incomplete heads, and sent ahead."""
        self.unsent_bytes = 0
        """That clients have not read, beyond what a connection may always hold."""
        self._by_address: dict[str, dict[Connection, None]] = {}
        self._by_area: dict[str, dict[Connection, None]] = {}
        self._all: dict[Connection, None] = {}
        self._round: list[Connection] = []
        """Those at which the round under way has yet to look."""
        self._unsent: dict[Connection, Unsent] = {}
        self._unsent_by_area: dict[str, int] = {}
        """Bytes of those of its connections that may be ended for them."""
        self._unsent_of_area: dict[str, dict[Connection, Unsent]] = {}
        """These connections, the oldest first: whoever is ended is found without a look at all."""
        self._swept_at_s = now_s

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._all)

    # -- number ----------------------------------------------------------------------------------------------

    def add(self, connection: Connection) -> None:
        """Take a new connection, which may end another."""
        address, area = network_of(connection.address), area_of(connection.address)
        same = self._by_address.get(address, {})
        if len(same) >= self.limits.connections_per_address_max and not connection.is_trusted_proxy:
            self._evict(same, Refusal.CONNECTIONS_OF_ADDRESS, 1)
        elif self.count >= self.limits.connections_max:
            most = max(self._by_area.values(), key=len)
            self._evict(most, Refusal.CONNECTIONS, min(EVICTIONS_AT_ONCE, max(1, len(most) // 2)))
        self._by_address.setdefault(address, {})[connection] = None
        self._by_area.setdefault(area, {})[connection] = None
        self._all[connection] = None

    def remove(self, connection: Connection) -> None:
        """Forget a connection that is over, unless it has been removed before."""
        for groups, name in (
            (self._by_address, network_of(connection.address)),
            (self._by_area, area_of(connection.address)),
        ):
            same = groups.get(name)
            if same is None or connection not in same:
                return
            del same[connection]
            if not same:
                del groups[name]
        del self._all[connection]
        self.end_unsent(connection)
        self.end_upload(connection)
        self.hold_ahead(connection, 0)

    def _evict(self, connections: dict[Connection, None], reason: Refusal, count: int) -> None:
        """End the connections among these that wait for their clients, the longest idle ones first."""
        candidates = []
        for connection in tuple(islice(connections, CANDIDATES_MAX)):
            del connections[connection]
            connections[connection] = None  # behind the others, so that the next call looks at others
            if connection.account.kind < CallerKind.MEMBER:
                candidates.append(connection)
        candidates.sort(
            key=lambda one: (one.phase is Phase.WORK and not one.unsent_bytes(), one.phase, one.since_s)
        )
        for victim in candidates[:count]:
            self.traffic.refuse(reason)
            self.remove(victim)
            victim.abort()

    # -- time ------------------------------------------------------------------------------------------------

    def tick(self, now_s: float) -> None:
        """Move the time, and look at some connections: in rounds, once a second or as a limit needs it."""
        assert now_s >= self.now_s, "time does not go back"
        self.now_s = now_s
        traffic = self.traffic
        traffic.connections = self.count
        traffic.unsent_bytes, traffic.upload_bytes = self.unsent_bytes, self.upload_bytes
        interval_s = min(1.0, self.limits.head_timeout_s / 3)
        if not self._round and now_s - self._swept_at_s >= interval_s:
            self._swept_at_s = now_s
            self._round = list(self._all)
        part = self._round[-LOOKED_AT_MAX:]
        del self._round[-LOOKED_AT_MAX:]
        for connection in part:
            if connection in self._all:
                self._check(connection)

    def _check(self, connection: Connection) -> None:
        waited_s = self.now_s - connection.since_s
        phase, limits = connection.phase, self.limits
        if self._reads_slowly(connection):
            self._drop(connection, Refusal.SLOW_READER)
        elif phase is Phase.CLOSING:
            if waited_s > CLOSING_MAX_S and not connection.unsent_bytes():
                self._drop(connection, None)
        elif phase is Phase.IDLE:
            if waited_s > (KEEP_ALIVE_S if connection.has_requested else limits.head_timeout_s):
                connection.end()
        elif phase is Phase.HEAD:
            if waited_s > limits.head_timeout_s:
                self._drop(connection, Refusal.SLOW_HEAD)
        elif phase is Phase.BODY and not connection.is_reading_paused():
            arrived_s = connection.received_bytes / limits.upload_rate_min_bytes_per_s
            if waited_s > min(limits.upload_grace_s + arrived_s, limits.upload_timeout_s):
                self._drop(connection, Refusal.SLOW_UPLOAD)

    def _reads_slowly(self, connection: Connection) -> bool:
        """Whether a client does not take what waits for it, at the least rate.

        What waits while nothing is added to it can only become less.
        """
        unsent = self._unsent.get(connection)
        if unsent is None:
            if connection.phase in {Phase.IDLE, Phase.CLOSING} and connection.unsent_bytes():
                self.begin_unsent(connection)
            return False
        size_bytes = connection.unsent_bytes()
        if not size_bytes:
            self.end_unsent(connection)
            return False
        self._add_unsent(unsent, size_bytes - unsent.now_bytes)
        unsent.now_bytes = size_bytes
        sent_s = max(0, unsent.then_bytes - size_bytes) / self.limits.send_rate_min_bytes_per_s
        return self.now_s - unsent.since_s > self.limits.send_grace_s + sent_s

    def _drop(self, connection: Connection, reason: Refusal | None) -> None:
        if reason is not None:
            self.traffic.refuse(reason)
        self.remove(connection)
        connection.abort()

    # -- bytes -----------------------------------------------------------------------------------------------

    def begin_unsent(self, connection: Connection) -> None:
        """A client does not take a response as fast as it is written."""
        size_bytes = connection.unsent_bytes()
        self.end_unsent(connection)
        is_evictable = connection.account.kind < CallerKind.MEMBER
        area = area_of(connection.address)
        self._unsent[connection] = unsent = Unsent(size_bytes, self.now_s, area, is_evictable=is_evictable)
        if is_evictable:
            self._unsent_of_area.setdefault(area, {})[connection] = unsent
        self._add_unsent(unsent, size_bytes)
        share_bytes = self.limits.unsent_max_bytes * UNSENT_SHARE_MAX
        if self._unsent_by_area.get(area, 0) > share_bytes:
            self._end_oldest_unsent(area, share_bytes)
        excess_bytes = self.unsent_bytes - self.limits.unsent_max_bytes
        while excess_bytes > 0 and self._unsent_by_area:
            area, most_bytes = max(self._unsent_by_area.items(), key=lambda item: item[1])
            self._end_oldest_unsent(area, most_bytes - excess_bytes)
            excess_bytes = self.unsent_bytes - self.limits.unsent_max_bytes

    def end_unsent(self, connection: Connection) -> None:
        """It has taken enough, or is over."""
        unsent = self._unsent.pop(connection, None)
        if unsent is None:
            return
        self._add_unsent(unsent, -unsent.now_bytes)
        if unsent.is_evictable:
            same = self._unsent_of_area[unsent.area]
            del same[connection]
            if not same:
                del self._unsent_of_area[unsent.area]

    def _add_unsent(self, unsent: Unsent, difference_bytes: int) -> None:
        self.unsent_bytes += difference_bytes
        assert self.unsent_bytes >= 0, "what was added is subtracted once"
        if not unsent.is_evictable:
            return
        total_bytes = self._unsent_by_area.pop(unsent.area, 0) + difference_bytes
        assert total_bytes >= 0, "what was added is subtracted once"
        if total_bytes:
            self._unsent_by_area[unsent.area] = total_bytes

    def _end_oldest_unsent(self, area: str, room_bytes: float) -> None:
        """End connections of an area that do not take their responses, until so much is left, or none.

        Of those that began at the same time, the first that are looked at, whoever holds most ends first.
        """
        while self._unsent_by_area.get(area, 0) > max(room_bytes, 0):
            oldest = islice(self._unsent_of_area[area].items(), CANDIDATES_MAX)
            victim, _ = min(oldest, key=lambda item: (item[1].since_s, -item[1].now_bytes))
            self._drop(victim, Refusal.UNSENT_BYTES)

    def add_upload(self, connection: Connection, size_bytes: int) -> bool:
        """Count bytes of a body that is not complete; False when there is no room for them.

        A body that is handed on as it arrives counts as if it were read whole, up to the greatest body.
        """
        counted = min(size_bytes, self.limits.body_size_max_bytes - connection.upload_bytes)
        if not self._has_room(connection.account, counted):
            return False
        connection.upload_bytes += counted
        connection.account.upload_bytes += counted
        self.upload_bytes += counted
        return True

    def hold_ahead(self, connection: Connection, size_bytes: int) -> bool:
        """Count what a connection has received of requests that cannot begin yet; False without room for it.

        Args:
            connection: Whose bytes they are.
            size_bytes: All of them, in place of what was counted before.
        """
        difference_bytes = size_bytes - connection.ahead_bytes
        if difference_bytes > 0 and not self._has_room(connection.account, difference_bytes):
            return False
        connection.ahead_bytes = size_bytes
        connection.account.upload_bytes += difference_bytes
        self.upload_bytes += difference_bytes
        assert self.upload_bytes >= 0, "what was added is subtracted once"
        return True

    def _has_room(self, account: Account, more_bytes: int) -> bool:
        """Whether a caller may have so many more bytes that were received and cannot be used yet."""
        room_bytes = float(self.limits.uploads_max_bytes)
        share_bytes = room_bytes
        if account.kind < CallerKind.MEMBER:
            share_bytes *= UPLOAD_SHARE_MAX
            room_bytes -= share_bytes
        return (
            account.upload_bytes + more_bytes <= share_bytes and self.upload_bytes + more_bytes <= room_bytes
        )

    def end_upload(self, connection: Connection) -> None:
        """The request is over whose body was counted."""
        connection.account.upload_bytes -= connection.upload_bytes
        self.upload_bytes -= connection.upload_bytes
        connection.upload_bytes = 0
        assert self.upload_bytes >= 0, "what was added is subtracted once"
