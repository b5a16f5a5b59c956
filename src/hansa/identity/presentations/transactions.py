"""Logins under way: what each waits for, in the memory of this process, bounded in number and bytes.

    waiting ──▶ fetched ──▶ answered ──▶ completed
       │           │  └────▶ refused
       └───────────┴────────────┴──────▶ expired

*waiting*: links to wallets were handed out. *fetched*: a wallet has the request. *answered*: a wallet
presented a credential that holds; the browser in which the login began has to come and take it. *refused*:
what a wallet presented does not hold, or the code was wrong too often; the login is over. A login that is not
over when its time is up is *expired*.

When there is no room for another login, those that are over give way, then the oldest that waits for its
wallet of the area (`hansa.core.web_addresses.area_of`) with the most logins: a flood makes room for others,
and never takes theirs.

A login has two requests, each with a nonce, a state and a key of its own: one for a wallet on the same
device, one for a wallet on another, so that it is known which way the browser has to take. The first that is
answered counts. A restart forgets all logins: whoever was logging in reads that it has to be begun again.
"""

from __future__ import annotations

import hmac
from enum import StrEnum, unique
from typing import Final, Literal

import msgspec

from hansa.core.base64url import to_base64url
from hansa.core.clock import Clock
from hansa.core.errors import Code, Unavailable
from hansa.core.identifiers import Entropy
from hansa.core.limits import Limits
from hansa.core.web_addresses import area_of
from hansa.identity.bindings import secret_digest
from hansa.identity.presentations.encryption import ResponseKey
from hansa.identity.principal import Principal

LOGIN_SIZE_BYTES: Final = 12_288
"""What a login takes beside texts of others, with both keys, as the process grows by it."""
CONFIRMING_S: Final = 60.0
"""So long, at least, a person has after the wallet answered."""
FETCHES_MAX: Final = 8
"""Of one request: wallets fetch it again when the network fails, and some look at it before they use it."""
CODE_ATTEMPTS_MAX: Final = 3
_RANDOM_BYTES: Final = 24
_CODE_DIGITS: Final = 6


@unique
class LoginState(StrEnum):
    """Where a login is."""

    WAITING = "waiting"
    FETCHED = "fetched"
    ANSWERED = "answered"
    COMPLETED = "completed"
    REFUSED = "refused"
    EXPIRED = "expired"


OVER: Final = frozenset({LoginState.COMPLETED, LoginState.REFUSED, LoginState.EXPIRED})

Device = Literal["same", "other"]


class WalletRequest(msgspec.Struct):
    """One of the two requests of a login."""

    id: str
    """In its address, which everybody sees who sees the link or the QR code."""
    device: Device
    nonce: str
    state: str
    """Secret, as the nonce: whoever fetched the request knows them."""
    key: ResponseKey | None = None
    """Made when the request is fetched for the first time."""
    fetches: int = 0


class Login(msgspec.Struct):
    """A login under way."""

    id: str
    binding: bytes
    """Digest of the secret in the cookie of the browser that began it."""
    address: str
    """Of that browser."""
    area: str
    """In which that address is."""
    return_to: str
    """Where it goes on afterwards."""
    requests: tuple[WalletRequest, ...]
    confirmation: str
    """What the form that confirms it has to carry."""
    ends_at_s: float
    """On the clock that never goes back."""
    state: LoginState = LoginState.WAITING
    is_taken: bool = False
    """An answer is being verified, or was."""
    device: Device | None = None
    """Where the wallet is that answered."""
    principal: Principal | None = None
    response_code: bytes = b""
    """Digest of what the wallet was given for the browser, or for the page with the code."""
    code: str = ""
    """What the person reads on the other device and types here."""
    attempts: int = 0
    problem: Code | None = None
    """Why it was refused."""
    declined: str = ""
    """The code of the last error that a wallet sent."""
    size_bytes: int = LOGIN_SIZE_BYTES


class BegunLogin(msgspec.Struct, frozen=True):
    """What is handed out of a login that has just begun."""

    id: str
    secret: str
    """For the cookie of the browser."""
    same_device: str
    """Name of the request for a wallet on this device."""
    other_device: str
    """Name of the request for a wallet on another one."""


class Logins:
    """The logins under way. To be used on one event loop.

    Args:
        clock: For their ends.
        entropy: For their names and secrets.
        limits: `logins_max`, `logins_per_address_max`, `logins_max_bytes`, `login_lifetime_s`.
    """

    def __init__(self, clock: Clock, entropy: Entropy, limits: Limits) -> None:
        self._clock = clock
        self._entropy = entropy
        self._limits = limits
        self._logins: dict[str, Login] = {}
        """By name, about in the order of their ends."""
        self._requests: dict[str, tuple[Login, WalletRequest]] = {}
        """Those that may be fetched or answered, by name."""
        self._over: dict[str, None] = {}
        """Names of those that are over, which give way to new ones."""
        self._of_address: dict[str, int] = {}
        """How many are not over."""
        self._of_area: dict[str, dict[str, None]] = {}
        """Names of those that are not over, the oldest first."""
        self._size_bytes = 0

    def __len__(self) -> int:
        return len(self._logins)

    def begin(self, address: str, return_to: str) -> BegunLogin:
        """A new login.

        Raises:
            Unavailable: `Code.OVERLOADED`, when there are too many, in all or of one address.
        """
        self._sweep()
        if self._of_address.get(address, 0) >= self._limits.logins_per_address_max:
            raise _full("Too many logins of yours are under way.", self._limits)
        size, area = LOGIN_SIZE_BYTES + len(return_to), area_of(address)
        self._make_room(size, area)
        secret = self._random()
        requests = tuple(
            WalletRequest(self._random(), device, self._random(), self._random())
            for device in ("same", "other")
        )
        login = Login(
            id=self._random(),
            binding=secret_digest(secret),
            address=address,
            area=area,
            return_to=return_to,
            requests=requests,
            confirmation=self._random(),
            ends_at_s=self._clock.monotonic() + self._limits.login_lifetime_s,
            size_bytes=size,
        )
        self._logins[login.id] = login
        self._requests |= {one.id: (login, one) for one in requests}
        self._of_address[address] = self._of_address.get(address, 0) + 1
        self._of_area.setdefault(area, {})[login.id] = None
        self._size_bytes += size
        return BegunLogin(login.id, secret, requests[0].id, requests[1].id)

    def login(self, name: str) -> Login | None:
        """A login; None when there is none of that name, or not any more."""
        self._sweep()
        login = self._logins.get(name)
        if login is not None and login.ends_at_s <= self._clock.monotonic():
            self._remove(login)
            return None
        return login

    def request(self, name: str) -> tuple[Login, WalletRequest] | None:
        """A request that may be fetched or answered, with its login."""
        login, request = self._requests.get(name, (None, None))
        if login is None or request is None or self.login(login.id) is None:
            return None
        return login, request

    def fetch(self, login: Login, request: WalletRequest) -> ResponseKey | None:
        """Note that a wallet fetches a request; the key for its answer, None when that was too often."""
        assert login.state not in OVER, "it can be fetched"
        if request.fetches >= FETCHES_MAX:
            return None
        request.fetches += 1
        if request.key is None:
            request.key = ResponseKey(request.id)
        if login.state is LoginState.WAITING:
            login.state = LoginState.FETCHED
        return request.key

    def answer(self, login: Login, request: WalletRequest, principal: Principal) -> str:
        """Note that a wallet presented a credential that holds; the response code for whoever follows it.

        Raises:
            Unavailable: `Code.OVERLOADED`.
        """
        assert login.is_taken, "one answer is verified at a time"
        assert login.principal is None, "a login is answered once"
        more = len(msgspec.json.encode(principal))
        self._logins.pop(login.id)  # to the end of the order
        try:
            self._make_room(more, login.area, login)
        finally:
            self._logins[login.id] = login
        login.size_bytes += more
        self._size_bytes += more
        self._forget_requests(login)
        code = self._random()
        login.state, login.device, login.principal = LoginState.ANSWERED, request.device, principal
        login.response_code = secret_digest(code)
        login.code = f"{int.from_bytes(self._entropy(8)) % 10**_CODE_DIGITS:0{_CODE_DIGITS}}"
        login.ends_at_s = max(login.ends_at_s, self._clock.monotonic() + CONFIRMING_S)
        return code

    def end(self, login: Login, state: LoginState, problem: Code | None = None) -> None:
        """End a login."""
        assert state in OVER, "it is over then"
        if login.state in OVER:
            return
        login.state, login.problem, login.principal, login.code = state, problem, None, ""
        self._forget_requests(login)
        self._over[login.id] = None
        same = self._of_area[login.area]
        del same[login.id]
        if not same:
            del self._of_area[login.area]
        count = self._of_address[login.address] - 1
        if count:
            self._of_address[login.address] = count
        else:
            del self._of_address[login.address]

    def _forget_requests(self, login: Login) -> None:
        for request in login.requests:
            self._requests.pop(request.id, None)
            request.key = None

    def _sweep(self) -> None:
        """Let go of those whose time is up."""
        now_s = self._clock.monotonic()
        while self._logins:
            login = next(iter(self._logins.values()))
            if login.ends_at_s > now_s:
                return
            self._remove(login)

    def _make_room(self, size: int, area: str, own: Login | None = None) -> None:
        """Have room for so many bytes more.

        Args:
            size: Of them.
            area: Of whoever needs the room.
            own: The login that needs it; None: a new one does.
        """
        limits = self._limits
        while len(self._logins) >= limits.logins_max or self._size_bytes + size > limits.logins_max_bytes:
            name = next(iter(self._over), None) or self._giving_way(area, own)
            if name is None:
                raise _full("Too many logins are under way.", limits)
            self._remove(self._logins[name])

    def _giving_way(self, area: str, own: Login | None) -> str | None:
        """The login that gives way to one of an area; None: no other has clearly more than that area."""
        most = max(self._of_area.values(), key=len, default={})
        others = len(self._of_area.get(area, {})) - (own is not None)
        if len(most) <= others + 1:
            return None
        waiting = (LoginState.WAITING, LoginState.FETCHED)
        return next(
            (
                name
                for name in most
                if (own is None or name != own.id)
                and not self._logins[name].is_taken
                and self._logins[name].state in waiting
            ),
            None,
        )

    def _remove(self, login: Login) -> None:
        self.end(login, LoginState.EXPIRED)
        del self._over[login.id]
        del self._logins[login.id]
        self._size_bytes -= login.size_bytes
        assert self._size_bytes >= 0, "what was added is what is removed"

    def _random(self) -> str:
        return to_base64url(self._entropy(_RANDOM_BYTES))


def is_secret(secret: str | None, digest: bytes) -> bool:
    """Whether a text is the secret of a digest."""
    return secret is not None and hmac.compare_digest(secret_digest(secret), digest)


def _full(message: str, limits: Limits) -> Unavailable:
    return Unavailable(Code.OVERLOADED, message, retry_after_s=limits.login_lifetime_s / 4)
