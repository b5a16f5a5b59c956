"""How often the endpoints of the OpenID Provider may be asked, by address and by client.

Each has a bucket that fills at its rate and holds a burst. Addresses of one customer's IPv6 network count as
one. What is not asked for is full and forgotten; there are so many buckets at most, and when there are no
more, all further ones share one.

Wrong secrets of clients are counted by client and address. Whoever has sent too many is answered without a
look at the next one, from that address alone: nobody keeps a client out by guessing from elsewhere.
"""

from __future__ import annotations

from typing import Final

from hansa.core.clock import Clock
from hansa.core.errors import Code, Unavailable
from hansa.core.limits import Limits
from hansa.core.web_addresses import network_of

BUCKETS_MAX: Final = 65_536
BURST_S: Final = 10.0
"""What a bucket holds: what comes in that time."""

WRONG_SECRETS_BURST_S: Final = 100.0
FORGET_EVERY_S: Final = 1.0

_SHARED: Final = ""


class _Buckets:
    """Buckets of one rate."""

    def __init__(self, per_s: float, clock: Clock, burst_s: float = BURST_S) -> None:
        self._per_s = per_s
        self._burst = max(1.0, per_s * burst_s)
        self._clock = clock
        self._levels: dict[str, tuple[float, float]] = {}
        """What a bucket held, and when."""
        self._forgot_at_s = clock.monotonic() - FORGET_EVERY_S

    def take(self, name: str, *, count: float = 1.0) -> None:
        """Take so much out of a bucket that holds one at least.

        Raises:
            Unavailable: `Code.OVERLOADED`.
        """
        now_s = self._clock.monotonic()
        if name not in self._levels and len(self._levels) >= BUCKETS_MAX:
            self._forget_full(now_s)
            if len(self._levels) >= BUCKETS_MAX:
                name = _SHARED
        level, at_s = self._levels.get(name, (self._burst, now_s))
        level = min(self._burst, level + (now_s - at_s) * self._per_s)
        if level < 1.0:
            self._levels[name] = (level, now_s)
            wait_s = (1.0 - level) / self._per_s
            raise Unavailable(Code.OVERLOADED, "Too many requests to the OpenID Provider.", wait_s)
        self._levels[name] = (level - count, now_s)

    def _forget_full(self, now_s: float) -> None:
        """Forget the buckets that are full, once in a while: looking at all of them takes its time."""
        if now_s - self._forgot_at_s < FORGET_EVERY_S:
            return
        self._forgot_at_s = now_s
        self._levels = {
            name: (level, at_s)
            for name, (level, at_s) in self._levels.items()
            if level + (now_s - at_s) * self._per_s < self._burst
        }


class Rates:
    """The bounds. To be used on one event loop."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self._of_addresses = _Buckets(limits.login_requests_per_address_per_s, clock)
        self._of_clients = _Buckets(limits.token_requests_per_client_per_s, clock)
        self._of_guesses = _Buckets(limits.wrong_client_secrets_per_s, clock, WRONG_SECRETS_BURST_S)

    def take_address(self, address: str) -> None:
        """Count a request from an address.

        Raises:
            Unavailable: `Code.OVERLOADED`.
        """
        self._of_addresses.take(network_of(address))

    def take_client(self, client_id: str) -> None:
        """Count a request of a client that has said, or proved, who it is.

        Raises:
            Unavailable: `Code.OVERLOADED`.
        """
        self._of_clients.take(client_id)

    def check_guesses(self, client_id: str, address: str) -> None:
        """Check that not too many wrong secrets of a client came from an address; empty: of unknown clients.

        Raises:
            Unavailable: `Code.OVERLOADED`.
        """
        self._of_guesses.take(f"{client_id} {network_of(address)}", count=0.0)

    def take_guess(self, client_id: str, address: str) -> None:
        """Count a wrong secret, after `check_guesses`."""
        self._of_guesses.take(f"{client_id} {network_of(address)}")
