"""Callers: how much each may have at a time, and what its requests cost it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from hansa.core.access import ANONYMOUS, Caller
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits
from hansa.core.measured_work import MeasuredWork, add_work
from hansa.core.web_addresses import area_of, network_of
from hansa.node.http import callers
from hansa.node.http.callers import Account, CallerKind, Callers
from hansa.node.http.connection.request_head import read_fields
from hansa.node.http.connection.starts import BEGUN_AT_FIRST, BEGUN_MAX, QUERY_WEIGHT, RequestStarts
from hansa.node.http.traffic import Refusal
from tests.support.connections import ADDRESS, Server

LIMITS = Limits(
    work_share_per_address=0.25,
    work_burst_address_s=10.0,
    work_share_per_subject=0.5,
    work_burst_subject_s=20.0,
    strangers_work_share=0.75,
    streams_max=40,
    streams_per_caller_max=10,
)
DEAR = b"/list?filter=1"


def authenticate(headers: Mapping[bytes, bytes]) -> Caller:
    """The token is the subject; some are wrong."""
    token = headers.get(b"authorization", b"").decode().removeprefix("Bearer ")
    if token == "wrong":
        raise Refused(Code.UNAUTHENTICATED, "wrong")
    if not token:
        return ANONYMOUS
    return Caller(token, frozenset({"operator"} if token == "operator" else {"reader"}))


def member_of(headers: Mapping[bytes, bytes]) -> str | None:
    token = headers.get(b"member-token")
    return token.decode() if token else None


class Time:
    """The callers, and the time."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.callers = Callers(LIMITS, lambda: self.now_s, authenticate, member_of)

    def account(self, line: str = "", address: str = ADDRESS) -> Account:
        return self.callers.account(address, read_fields(f"{line}\r\n".encode() if line else b""))


@pytest.fixture
def time() -> Time:
    return Time()


def scope(target: bytes = DEAR, method: str = "GET") -> dict[str, Any]:
    path, _, query = target.partition(b"?")
    return {"method": method, "raw_path": path, "query_string": query}


@pytest.mark.parametrize(
    ("line", "kind", "name"),
    [
        ("", CallerKind.STRANGER, ADDRESS),
        ("Authorization: Bearer wrong", CallerKind.STRANGER, ADDRESS),
        ("Authorization: Bearer ann", CallerKind.CLIENT, "ann"),
        ("Authorization: Bearer operator", CallerKind.OPERATOR, "operator"),
        ("Member-Token: did:key:riga", CallerKind.MEMBER, "did:key:riga"),
    ],
)
def test_a_caller_is_a_subject_a_member_or_an_address(
    time: Time, line: str, kind: CallerKind, name: str
) -> None:
    account = time.account(line)
    assert (account.kind, account.name) == (kind, name)
    assert time.account(line) is account


def test_a_network_is_one_caller() -> None:
    assert network_of("2001:db8:1:2:3::4") == network_of("2001:db8:1:2:ffff::5%eth0") == "2001:db8:1:2::"
    assert network_of("::ffff:192.0.2.1") == "192.0.2.1"


def test_what_a_site_has_is_one_area() -> None:
    assert area_of("2001:db8:1:2:3::4") == area_of("2001:db8:1:ffff::5%eth0") == "2001:db8:1::"
    assert area_of("192.0.2.1") == area_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert area_of("nowhere") == "nowhere"
    assert area_of("no::where") == "no::where"


def test_a_site_that_takes_all_accounts_shares_one_and_nobody_else_does(
    time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callers, "ACCOUNTS_MAX", 5)
    for number in range(50):
        time.account(address=f"2001:db8:1:{number:x}::1")
    assert time.account(address="2001:db8:1:ffff::1").name == "2001:db8:1::"
    assert time.account(address="192.0.2.7").name == "192.0.2.7"
    for number in range(50):
        time.account(address=f"198.51.100.{number}")
    assert len(time.callers.accounts()) <= 11


def test_most_reads_cost_nothing(time: Time) -> None:
    account = time.account()
    for _ in range(100_000):
        account.charge(scope(), 0.0009, 60_000)
    assert not account.is_spent


@pytest.mark.parametrize(
    ("method", "work_s", "answer_bytes", "cost_s"),
    [
        ("GET", 1.001, 0, 1.0),
        ("GET", 0.0, 100_065_536, 1.0),
        ("POST", 0.0, 0, 0.00005),
        ("GET", 60.0, 0, 5.0),
    ],
)
def test_what_is_dear_costs_its_time_and_its_bytes(
    time: Time, method: str, work_s: float, answer_bytes: int, cost_s: float
) -> None:
    account = time.account()
    account.charge(scope(method=method), work_s, answer_bytes)
    assert account.budget is not None
    assert account.budget.level_s(0.0) == pytest.approx(10.0 - cost_s)


def test_a_caller_in_debt_waits_for_what_may_be_dear_and_for_nothing_else(time: Time) -> None:
    account, other = time.account(), time.account(address="192.0.2.2")
    for _ in range(3):
        account.charge(scope(), 5.0, 0)
    assert account.wait_s("GET", DEAR) == pytest.approx(20.0, rel=0.01)
    assert account.wait_s("POST", b"/list") == pytest.approx(20.0, rel=0.01)
    assert account.wait_s("GET", b"/list/1") == 0.0
    account.charge(scope(b"/list?limit=5"), 0.0, 10)
    assert account.wait_s("GET", b"/list?limit=5") == 0.0, "it was cheap"
    account.charge(scope(b"/list?limit=5"), 0.5, 10)
    assert account.wait_s("GET", b"/list?limit=5") > 0.0, "it is not any more"
    assert other.wait_s("GET", DEAR) == 0.0
    headers = dict(account.headers())
    assert (headers[b"x-ratelimit-limit"], headers[b"x-ratelimit-remaining"]) == (b"10000", b"0")
    time.now_s += 30.0
    assert account.wait_s("GET", DEAR) == 0.0


def test_strangers_together_leave_a_part_and_whoever_took_nothing_is_served(time: Time) -> None:
    hostile = [time.account(address=f"198.51.100.{number}") for number in range(8)]
    for account in hostile:
        account.charge(scope(), 3.0, 0)
    assert all(account.wait_s("GET", DEAR) > 0 for account in hostile), "each has saved up, all have not"
    assert time.account().wait_s("GET", DEAR) == 0.0
    assert time.account("Authorization: Bearer ann").wait_s("GET", DEAR) == 0.0


@pytest.mark.parametrize("line", ["Authorization: Bearer operator", "Member-Token: did:key:riga"])
def test_the_operator_and_members_owe_nothing(time: Time, line: str) -> None:
    account = time.account(line)
    for _ in range(1000):
        account.charge(scope(method="POST"), 5.0, 10**9)
    assert (account.wait_s("POST", DEAR), account.headers()) == (0.0, ())


def test_streams_are_counted_by_caller_and_strangers_leave_a_part(time: Time) -> None:
    accounts = [time.account(address=f"198.51.100.{number}") for number in range(5)]
    for account in accounts:
        account.requests = 20
    begun = [sum(account.begin_stream() for _ in range(20)) for account in accounts]
    assert begun == [10, 10, 10, 0, 0]
    member = time.account("Member-Token: did:key:riga")
    assert member.begin_stream()
    accounts[0].end_stream()
    assert accounts[4].begin_stream()


def test_readers_of_the_ledger_have_a_part_of_the_queue_each(time: Time) -> None:
    account, other = time.account(), time.account(address="192.0.2.2")
    while account.begin_ledger_read():
        pass
    assert account.ledger_reads == LIMITS.ledger_reads_waiting_max // 4
    assert other.begin_ledger_read()
    account.end_ledger_read()
    assert account.begin_ledger_read()


def test_accounts_that_owe_nothing_are_forgotten(time: Time) -> None:
    for number in range(1000):
        time.account(address=f"10.0.{number // 250}.{number % 250}")
    owing = time.account()
    for _ in range(100):
        owing.charge(scope(), 5.0, 0)
    time.now_s += 60.0
    time.callers.forget_idle()
    assert time.account() is owing
    time.now_s += 130.0
    time.callers.forget_idle()
    fresh = time.account(address="10.0.0.1")
    assert fresh is time.account(address="10.0.0.1")
    assert time.account() is not owing


async def test_a_refused_caller_is_told_how_long_to_wait_and_goes_on_with_cheap_reads() -> None:
    server = Server()
    client = server.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await server.settle()
    for _ in range(20):
        client.protocol.account.charge(scope(), 5.0, 0)
    for target in (b"/list?filter=1", b"/list", b"/list?filter=1"):
        client.send(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % target)
        await server.settle()
    assert client.statuses == [200, 429, 200, 429]
    assert b"\r\nretry-after: 120\r\n" in client.answered
    assert server.traffic.refused[Refusal.WORK_OF_CALLER] == 2
    client.send(b"GET /list?filter=1 HTTP/1.1\r\nHost: x\r\n\r\n" * 500)
    await server.settle()
    assert client.has_ended, "who goes on has to connect again"
    assert len(client.statuses) == 5, "what was sent with a refused request is not read"


async def test_requests_that_are_sent_together_over_the_bound_are_refused_once_a_connection() -> None:
    server = Server(Limits(requests_per_caller_max=2))
    busy = [server.connect() for _ in range(2)]
    for client in busy:
        client.send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
    await server.settle()
    greedy, patient = server.connect(), server.connect()
    greedy.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 500)
    for _ in range(3):
        patient.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await server.settle()
    assert (greedy.statuses, greedy.has_ended) == ([429], True)
    assert (patient.statuses, patient.has_ended) == ([429] * 3, False)


# -- turns of the event loop ---------------------------------------------------------------------------------


async def test_a_turn_begins_so_many_requests_and_callers_take_turns(time: Time) -> None:
    begun: list[str] = []
    starts = RequestStarts(lambda: time.now_s)
    hostile, good = time.account(), time.account(address="192.0.2.2")
    for _ in range(200):
        starts.begin(hostile, lambda: begun.append("hostile"), 1)
    assert len(begun) == BEGUN_AT_FIRST
    starts.begin(good, lambda: begun.append("good"), 1)
    starts.begin(time.account("Member-Token: did:key:riga"), lambda: begun.append("member"), 1)
    assert begun[-1] == "member", "a member does not wait"
    time.now_s += 1.0
    await asyncio.sleep(0)
    assert "good" in begun[: BEGUN_AT_FIRST + 4]
    assert len(begun) == BEGUN_AT_FIRST + 1 + BEGUN_AT_FIRST // 2, "after a long turn there are fewer"
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(begun) == 202


# -- measuring -----------------------------------------------------------------------------------------------


async def test_work_is_the_time_of_the_steps_and_what_was_added() -> None:
    now_s = 0.0
    event = asyncio.Event()

    async def steps() -> str:
        nonlocal now_s
        now_s += 1.0
        await event.wait()
        now_s += 2.0
        add_work(4.0)
        with pytest.raises(asyncio.CancelledError):
            await asyncio.get_running_loop().create_future()
        return "done"

    work = MeasuredWork(steps(), lambda: now_s)

    async def run() -> str:
        return await work

    task = asyncio.create_task(run())
    await asyncio.sleep(0)
    now_s += 100.0
    event.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "done"
    assert work.seconds == pytest.approx(7.0)
    add_work(1.0)
    assert work.seconds == pytest.approx(7.0), "it is over"


async def test_an_error_of_the_work_is_an_error_of_whoever_awaits_it() -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await MeasuredWork(fails(), lambda: 0.0)


async def test_requests_with_a_query_count_as_several(time: Time) -> None:
    begun: list[str] = []
    starts = RequestStarts(lambda: time.now_s)
    for _ in range(200):
        starts.begin(time.account(), lambda: begun.append("list"), QUERY_WEIGHT)
    assert len(begun) == BEGUN_AT_FIRST // QUERY_WEIGHT
    for _ in range(50):
        before = len(begun)
        await asyncio.sleep(0)
        assert len(begun) - before <= BEGUN_MAX // QUERY_WEIGHT
    assert len(begun) == 200
