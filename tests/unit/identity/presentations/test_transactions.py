"""Logins under way, whatever happens to them in whatever order: bounded, and counted rightly."""

from __future__ import annotations

import asyncio
import contextlib
from itertools import count

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hansa.core.clock import ManualClock
from hansa.core.errors import Unavailable
from hansa.core.limits import Limits
from hansa.identity.presentations.transactions import (
    LOGIN_SIZE_BYTES,
    OVER,
    BegunLogin,
    Logins,
    LoginState,
    is_secret,
)
from hansa.identity.principal import Principal

LIMITS = Limits(logins_max=6, logins_per_address_max=3, logins_max_bytes=6 * LOGIN_SIZE_BYTES)
SOMEBODY = Principal("did:key:z", "VATES-12345678", "employee", name="Ana" * 100)


class LoginMachine(RuleBasedStateMachine):
    """Browsers that begin logins, wallets that answer them, people who finish them, and time."""

    def __init__(self) -> None:
        super().__init__()
        numbers = count(1)
        self.clock = ManualClock()
        self.logins = Logins(self.clock, lambda size: next(numbers).to_bytes(size), LIMITS)
        self.begun: list[tuple[BegunLogin, str]] = []
        self.codes: dict[str, str] = {}

    def some(self, number: int) -> BegunLogin | None:
        return self.begun[number % len(self.begun)][0] if self.begun else None

    @rule(address=st.sampled_from("abc"))
    def begin(self, address: str) -> None:
        under_way = sum(
            login.state not in OVER
            for one, where in self.begun
            if where == address and (login := self.logins.login(one.id)) is not None
        )
        try:
            self.begun.append((self.logins.begin(address, "/"), address))
        except Unavailable:
            assert under_way >= LIMITS.logins_per_address_max or len(self.logins) > 0
        else:
            assert under_way < LIMITS.logins_per_address_max

    @rule(number=st.integers(0, 99), other=st.booleans())
    def fetch(self, number: int, other: bool) -> None:
        begun = self.some(number)
        known = begun and self.logins.request(begun.other_device if other else begun.same_device)
        if known:
            self.logins.fetch(*known)

    @rule(number=st.integers(0, 99), other=st.booleans())
    def answer(self, number: int, other: bool) -> None:
        begun = self.some(number)
        known = begun and self.logins.request(begun.other_device if other else begun.same_device)
        if not known or begun is None:
            return
        login, request = known
        login.is_taken = True
        try:
            code = self.logins.answer(login, request, SOMEBODY)
        except Unavailable:
            login.is_taken = False
            return
        assert begun.id not in self.codes, "a login is answered once"
        self.codes[begun.id] = code
        assert is_secret(code, login.response_code)
        assert login.device == ("other" if other else "same")

    @rule(number=st.integers(0, 99), is_completed=st.booleans())
    def end(self, number: int, is_completed: bool) -> None:
        begun = self.some(number)
        login = begun and self.logins.login(begun.id)
        if login:
            self.logins.end(login, LoginState.COMPLETED if is_completed else LoginState.REFUSED)
            assert login.principal is None

    @rule(seconds=st.sampled_from([1, 59, 61, 150, 301]))
    def wait(self, seconds: int) -> None:
        asyncio.run(self.clock.advance(seconds))

    @invariant()
    def bounded(self) -> None:
        logins = self.logins
        assert len(logins) <= LIMITS.logins_max
        assert 0 <= logins._size_bytes <= LIMITS.logins_max_bytes
        assert logins._size_bytes == sum(one.size_bytes for one in logins._logins.values())
        assert all(number <= LIMITS.logins_per_address_max for number in logins._of_address.values())

    @invariant()
    def counted(self) -> None:
        logins = self.logins
        under_way = [one for one in logins._logins.values() if one.state not in OVER]
        assert {name for names in logins._of_area.values() for name in names} == {one.id for one in under_way}
        assert sum(logins._of_address.values()) == len(under_way)
        assert set(logins._over) == {one.id for one in logins._logins.values() if one.state in OVER}
        open_requests = [one for one in under_way if one.state is not LoginState.ANSWERED]
        assert set(logins._requests) == {each.id for one in open_requests for each in one.requests}

    @invariant()
    def nothing_outlives_its_end(self) -> None:
        now_s = self.clock.monotonic()
        for begun, _ in self.begun:
            login = self.logins.login(begun.id)
            assert login is None or login.ends_at_s > now_s


LoginMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLogins = LoginMachine.TestCase


async def test_a_flood_from_many_networks_of_one_site_takes_nobodys_login() -> None:
    clock, numbers = ManualClock(), count(1)
    limits = Limits(logins_max=50, logins_max_bytes=50 * LOGIN_SIZE_BYTES + 20_000)
    logins = Logins(clock, lambda size: next(numbers).to_bytes(size), limits)
    waiting, answered = (logins.begin(f"192.0.2.{n}", "/") for n in (1, 2))

    def flood(return_to: str) -> None:
        for number in range(300):
            with contextlib.suppress(Unavailable):
                logins.begin(f"2001:db8:1:{number:x}::", return_to)

    flood("/" + "x" * 1000)
    late = logins.begin("198.51.100.7", "/")
    for begun in (waiting, answered, late):
        known = logins.request(begun.same_device)
        assert known is not None, "it is under way"
        if begun is not waiting:
            known[0].is_taken = True
            logins.answer(*known, SOMEBODY)
    flood("/")
    assert all(logins.login(one.id) is not None for one in (waiting, answered, late))
    assert len(logins) <= limits.logins_max
