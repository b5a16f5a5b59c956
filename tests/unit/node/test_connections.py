"""Clients that send slowly, do not read, or connect too often: what they hold of the server, and how long."""

from __future__ import annotations

import asyncio
import re

import pytest

from hansa.core.limits import Limits
from hansa.node.http.callers import Account, Callers
from hansa.node.http.connection.protocol import AHEAD_MAX_BYTES
from hansa.node.http.connection.receive_buffer import BODY_READ_MAX_BYTES, HEAD_READ_MAX_BYTES
from hansa.node.http.connection.registry import Phase
from hansa.node.http.connection.starts import READS_MAX
from hansa.node.http.forwarded import TrustedProxies
from hansa.node.http.traffic import Refusal
from tests.support.connections import ADDRESS, Client, Server

OTHER = "192.0.2.2"


def get(target: str = "/", *lines: str) -> bytes:
    """A request."""
    return "\r\n".join((f"GET {target} HTTP/1.1", "Host: x", *lines, "", "")).encode()


def post(length: int, body: bytes = b"", target: str = "/") -> bytes:
    """The beginning of a request with a body, or all of it."""
    return f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode() + body


def has_ended(*clients: Client) -> list[bool]:
    """Which of the connections the server has ended."""
    return [client.has_ended for client in clients]


def is_refused(client: Client) -> bool:
    """Whether the server has answered 429 and ended the connection."""
    return client.statuses == [429] and client.has_ended


async def is_served(client: Client, server: Server) -> bool:
    """Whether one more request on a connection is answered."""
    before = len(client.statuses)
    client.send(get("/next"))
    await server.settle()
    return client.statuses[before:] == [200]


# -- slow senders --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [b"", b"G", b"GET / HTTP/1.1\r\nHost: x\r\n"])
async def test_a_head_that_does_not_arrive_ends_the_connection(sent: bytes) -> None:
    server = Server(Limits(head_timeout_s=15.0))
    client = server.connect()
    if sent:
        client.send(sent)
    await server.pass_time(14)
    assert has_ended(client) == [False]
    await server.pass_time(3)
    assert has_ended(client) == [True]
    assert server.traffic.refused[Refusal.SLOW_HEAD] == (1 if sent else 0)


async def test_a_head_that_trickles_has_no_more_time() -> None:
    server = Server(Limits(head_timeout_s=15.0))
    client = server.connect()
    client.send(b"GET / HTTP/1.1\r\nX: ")
    await server.pass_time(17, lambda: None if client.has_ended else client.send(b"y"))
    assert client.is_aborted


async def test_a_body_that_trickles_ends_the_connection() -> None:
    server = Server(Limits(upload_grace_s=30.0, upload_rate_min_bytes_per_s=1000.0))
    slow, fast = server.connect(), server.connect()
    slow.send(post(1_000_000))
    fast.send(post(1_000_000))

    def send() -> None:
        for client, size in ((slow, 10), (fast, 2000)):
            if not client.has_ended:
                client.send(b"x" * size)

    await server.pass_time(60, send)
    assert (slow.is_aborted, fast.is_aborted) == (True, False)
    assert server.traffic.refused[Refusal.SLOW_UPLOAD] == 1
    assert not server.received


async def test_an_idle_connection_ends_after_a_while() -> None:
    server = Server()
    client = server.connect()
    assert await is_served(client, server)
    await server.pass_time(70)
    assert await is_served(client, server)
    await server.pass_time(77)
    assert client.has_ended


async def test_half_read_bodies_hold_so_much_memory_and_a_caller_a_quarter_of_it() -> None:
    limits = Limits(uploads_max_bytes=4_000_000, requests_per_caller_max=1000)
    server = Server(limits)
    hostile = [server.connect() for _ in range(600)]
    for client in hostile:
        client.send(post(100_000, b"x" * 20_000))
        await server.settle()
    assert server.connections.upload_bytes <= 1_000_000
    refused = [client for client in hostile if client.statuses == [429]]
    assert len(refused) == 600 - 50
    other = server.connect(OTHER)
    other.send(post(100_000, b"x" * 50_000), b"x" * 50_000)
    await server.settle()
    assert other.statuses == [200]
    for client in hostile:
        client.abort()
    assert server.connections.upload_bytes == 0


async def test_unfinished_uploads_of_one_caller_leave_the_others_alone() -> None:
    server = Server(Limits(requests_per_caller_max=100))
    hostile = [server.connect() for _ in range(600)]
    for client in hostile:
        client.send(post(100, b"x"))
    await server.settle()
    assert sum(client.statuses == [429] for client in hostile) == 500
    assert all(b"retry-after: " in client.answered for client in hostile if client.statuses)
    assert await is_served(server.connect(OTHER), server)
    assert not server.received[:-1]


async def test_a_body_that_is_still_sent_after_the_answer_has_an_end() -> None:
    server = Server()
    client = server.connect()
    client.send(post(10**12, target="/early"))
    await server.settle()
    assert client.statuses == [200]
    for _ in range(40):
        if not client.has_ended:
            client.send(b"x" * 1_000_000)
    await server.settle()
    assert client.has_ended


# -- slow readers --------------------------------------------------------------------------------------------


async def test_clients_that_do_not_read_hold_no_more_than_there_is_room_for() -> None:
    limits = Limits(unsent_max_bytes=8_000_000, requests_per_caller_max=1000)
    server = Server(limits)
    server.answer = b"x" * 1_000_000
    for number in range(400):
        client = server.connect(f"192.0.2.{number % 8}", does_read=False)
        client.send(get() * 20)
        await server.settle()
        assert server.connections.unsent_bytes <= limits.unsent_max_bytes
    assert len(server.received) == 400, "no further answer is made for a client that does not read"
    assert server.traffic.refused[Refusal.UNSENT_BYTES] >= 392
    server.answer = b"small"
    assert await is_served(server.connect("192.0.2.200"), server)


async def test_one_address_that_does_not_read_ends_no_others_answers() -> None:
    server = Server(Limits(unsent_max_bytes=8_000_000, requests_per_caller_max=1000))
    server.answer = b"x" * 1_000_000
    good = server.connect(OTHER, does_read=False)
    good.send(get())
    await server.settle()
    for _ in range(50):
        server.connect(does_read=False).send(get())
        await server.settle()
    assert not good.has_ended
    assert server.connections.unsent_bytes <= 5_000_000


async def test_a_client_that_does_not_read_is_given_up_and_a_slow_one_is_not() -> None:
    server = Server(Limits(send_grace_s=15.0, send_rate_min_bytes_per_s=8000.0))
    server.answer = b"x" * 1_000_000
    deaf, slow = server.connect(does_read=False), server.connect(does_read=False)
    for client in (deaf, slow):
        client.send(get())
    await server.pass_time(30, lambda: slow.read(16_000))
    assert (deaf.is_aborted, slow.is_aborted) == (True, False)
    assert server.traffic.refused[Refusal.SLOW_READER] == 1


async def test_a_slow_client_has_the_time_to_take_the_last_response_of_a_connection() -> None:
    server = Server(Limits(send_grace_s=15.0, send_rate_min_bytes_per_s=8000.0))
    server.answer = b"x" * 1_000_000
    deaf, slow = server.connect(does_read=False), server.connect(does_read=False)
    for client in (deaf, slow):
        client.send(get("/", "Connection: close"))
    await server.pass_time(30, lambda: slow.read(16_000))
    assert (deaf.is_aborted, slow.is_aborted) == (True, False)


async def test_a_little_that_is_never_read_does_not_hold_a_connection_for_ever() -> None:
    server = Server(Limits(send_grace_s=15.0))
    client = server.connect(does_read=False)
    client.send(get())
    await server.settle()
    await server.pass_time(20)
    assert client.is_aborted
    assert server.connections.count == 0


async def test_what_is_sent_ahead_waits_and_has_an_end() -> None:
    server = Server()
    client = server.connect()
    client.send(get("/wait"), get("/a") + get("/b"))
    await server.settle()
    assert (client.is_paused, server.received) == (True, [])
    server.go.set()
    for _ in range(3):
        await server.settle()
    assert [one.target for one in server.received] == ["/wait", "/a", "/b"]
    assert (client.is_paused, len(server.received)) == (False, 3)
    server.go.clear()
    client.send(get("/wait"), *[b"x" * 100_000] * (AHEAD_MAX_BYTES // 100_000 + 1))
    await server.settle()
    assert client.has_ended


@pytest.mark.parametrize(
    ("first", "more"),
    [(get("/wait"), b"x" * 400_000), (b"", b"GET / HTTP/1.1\r\nX: " + b"y" * 60_000)],
    ids=["requests ahead of a response", "incomplete heads"],
)
async def test_what_cannot_be_used_yet_is_bounded_for_a_caller_and_in_all(first: bytes, more: bytes) -> None:
    limits = Limits(uploads_max_bytes=8_000_000, requests_per_caller_max=1000)
    server = Server(limits)
    hostile = [server.connect() for _ in range(200)]
    for client in hostile:
        client.send(*filter(None, (first, more)))
        await server.settle()
        assert server.connections.upload_bytes <= 2_000_000
    others = [server.connect(f"192.0.2.{3 + number}") for number in range(200)]
    for client in others:
        client.send(*filter(None, (first, more)))
        await server.settle()
        assert server.connections.upload_bytes <= limits.uploads_max_bytes
    assert server.traffic.refused[Refusal.UPLOAD_BYTES] == sum(map(is_refused, hostile + others)) > 200
    for client in hostile + others:
        client.abort()
    assert server.connections.upload_bytes == 0
    assert await is_served(server.connect(OTHER), server)


async def test_what_was_sent_ahead_counts_no_more_once_it_is_answered() -> None:
    server = Server()
    client = server.connect()
    client.send(get("/wait"), get("/a") + get("/b") + b"GET /c HTTP/1.1\r\nHos")
    await server.settle()
    assert server.connections.upload_bytes > 0
    server.go.set()
    client.send(b"t: x\r\n\r\n")
    for _ in range(4):
        await server.settle()
    assert [one.target for one in server.received] == ["/wait", "/a", "/b", "/c"]
    assert server.connections.upload_bytes == 0


async def test_a_turn_reads_so_much_and_callers_take_turns() -> None:
    server = Server(Limits(connections_per_address_max=2000))
    hostile = [server.connect() for _ in range(READS_MAX * 3)]
    for client in hostile:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
    assert [client.protocol.phase for client in hostile].count(Phase.HEAD) == READS_MAX
    assert [client.is_paused for client in hostile].count(True) == READS_MAX * 2
    other = server.connect(OTHER)
    other.send(get())
    assert server.connections.upload_bytes > 0
    for _ in range(5):
        await asyncio.sleep(0)
    assert other.statuses == [200], "it waits for a turn, not for all those who came before"
    for _ in range(20):
        await server.settle()
    assert {client.protocol.phase for client in hostile} == {Phase.HEAD}
    assert not any(client.is_paused for client in hostile)
    for client in hostile:
        client.send(b"\r\n")
    for _ in range(60):
        await server.settle()
    assert [client.statuses for client in hostile] == [[200]] * len(hostile)
    assert server.connections.upload_bytes == 0


async def test_a_connection_that_ends_while_it_waits_for_a_turn_leaves_nothing() -> None:
    server = Server()
    leaving, refused, other = server.connect(), server.connect(), server.connect()
    server.use_up_turn()
    leaving.send(get())
    refused.send(b"x" * (AHEAD_MAX_BYTES + 1))
    other.send(get())
    assert (refused.statuses, refused.has_ended) == ([400], True)
    leaving.abort()
    await server.settle()
    assert (leaving.statuses, other.statuses) == ([], [200])
    refused.abort()
    assert (server.connections.count, server.connections.upload_bytes) == (1, 0)


async def test_a_member_waits_for_no_turn() -> None:
    callers = Callers(Limits(), lambda: 1000.0, member_of=lambda headers: "did:key:riga" if headers else None)
    server = Server(callers=callers)
    member = server.connect()
    member.send(get("/", "Member-Token: x"))
    await server.settle()
    server.use_up_turn()
    member.send(get("/next", "Member-Token: x"))
    assert not member.is_paused
    await server.settle()
    assert member.statuses == [200, 200]


async def test_a_connection_receives_a_bounded_part_at_a_time() -> None:
    server = Server()
    client = server.connect()
    buffer = client.protocol.get_buffer(-1)
    assert len(buffer) == HEAD_READ_MAX_BYTES
    sent = post(100_000, b"x" * 1000)
    buffer[: len(sent)] = sent
    client.protocol.buffer_updated(len(sent))
    await server.settle()
    assert len(client.protocol.get_buffer(-1)) == BODY_READ_MAX_BYTES
    for part in (60_000, 39_000):
        client.protocol.get_buffer(-1)[:part] = b"y" * part
        client.protocol.buffer_updated(part)
    await server.settle()
    assert [one.body for one in server.received] == [b"x" * 1000 + b"y" * 99_000]
    assert len(client.protocol.get_buffer(-1)) == HEAD_READ_MAX_BYTES


async def test_a_read_ends_with_its_client_and_a_write_does_not() -> None:
    server = Server()
    reader, writer = server.connect(), server.connect()
    reader.send(get("/wait"))
    writer.send(post(1, b"x", "/wait"))
    await server.settle()
    reader.abort()
    writer.abort()
    await server.settle()
    assert server.cancelled == 1
    server.go.set()
    await server.settle()
    assert server.cancelled == 1


# -- connections ---------------------------------------------------------------------------------------------


async def test_one_address_does_not_take_all_connections() -> None:
    server = Server(Limits(connections_max=40, connections_per_address_max=20))
    hostile = [server.connect() for _ in range(100)]
    await server.settle()
    assert sum(not client.is_aborted for client in hostile) == 20
    assert await is_served(server.connect(OTHER), server)
    assert await is_served(server.connect(), server), "and it is served itself"
    assert server.traffic.refused[Refusal.CONNECTIONS_OF_ADDRESS] == 81


async def test_many_addresses_do_not_take_all_connections() -> None:
    server = Server(Limits(connections_max=40, connections_per_address_max=20))
    good = server.connect(OTHER)
    assert await is_served(good, server)
    for number in range(400):
        server.connect(f"198.51.100.{number % 3}").send(get("/wait"))
    await server.settle()
    assert server.connections.count <= 40
    assert not good.has_ended
    assert await is_served(good, server)


async def test_many_networks_of_one_site_end_no_connection_of_anybody_else() -> None:
    server = Server(Limits(connections_max=40, connections_per_address_max=20))
    good = [server.connect(OTHER) for _ in range(3)]
    assert all([await is_served(one, server) for one in good])
    for number in range(400):
        server.connect(f"2001:db8:1:{number:x}::1")
    await server.settle()
    assert server.connections.count <= 40
    assert all([await is_served(one, server) for one in good]), "each address of the others has fewer"


async def test_networks_of_a_site_share_the_room_for_what_they_do_not_read() -> None:
    server = Server(Limits(unsent_max_bytes=10_000_000))
    server.answer = b"x" * 1_000_000
    good = [server.connect(OTHER, does_read=False) for _ in range(2)]
    for one in good:
        one.send(get())
    await server.settle()
    for number in range(50):
        server.connect(f"2001:db8:1:{number:x}::1", does_read=False).send(get())
        await server.settle()
    assert server.connections.unsent_bytes <= 10_000_000
    assert not any(one.has_ended for one in good)


async def test_a_connection_that_waits_for_its_client_ends_before_one_that_is_served() -> None:
    server = Server(Limits(connections_per_address_max=3))
    busy, slow, idle = server.connect(), server.connect(), server.connect()
    busy.send(get("/wait"))
    slow.send(b"GET / HT")
    await server.settle()
    server.connect()
    await server.settle()
    assert [client.is_aborted for client in (busy, slow, idle)] == [False, False, True]
    server.connect().send(b"GET")
    server.connect()
    await server.settle()
    assert [client.is_aborted for client in (busy, slow)] == [False, True]


# -- proxies -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "client"),
    [
        ("X-Forwarded-For: 203.0.113.9", "203.0.113.9"),
        ("X-Forwarded-For: 198.51.100.1, 203.0.113.9, 10.1.2.3", "203.0.113.9"),
        ("X-Forwarded-For: 203.0.113.9:1234", "203.0.113.9"),
        ("X-Forwarded-For: no address", ADDRESS),
        ('Forwarded: for="[2001:db8::1]:80";proto=https', "2001:db8::1"),
        ("Forwarded: for=198.51.100.1, for=203.0.113.9;by=10.0.0.1", "203.0.113.9"),
        ("Forwarded: for=_hidden", ADDRESS),
        ("X: y", ADDRESS),
    ],
)
async def test_a_trusted_proxy_names_the_client_and_nobody_else_does(line: str, client: str) -> None:
    server = Server(proxies=TrustedProxies([ADDRESS, "10.0.0.0/8"]))
    connection, stranger = server.connect(), server.connect(OTHER)
    connection.send(get("/", line))
    stranger.send(get("/", line))
    await server.settle()
    assert [one.client for one in server.received] == [client, OTHER]


async def test_the_headers_of_every_response_occur_once() -> None:
    server = Server(Limits(requests_per_caller_max=1))
    client, further = server.connect(), server.connect()
    client.send(get("/wait"))
    further.send(get())
    await server.settle()
    names = re.findall(rb"\r\n([a-z\-]+): ", further.answered.lower())
    assert further.statuses == [429]
    assert len(names) == len(set(names))
    assert {b"retry-after", b"x-ratelimit-limit", b"x-ratelimit-remaining", b"x-ratelimit-reset"} <= set(
        names
    )


async def test_a_task_of_a_request_is_written_out_without_what_its_end_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    accounts: list[Account] = []

    def noting(account: Account) -> str:
        accounts.append(account)
        return account.name

    monkeypatch.setattr(Account, "__repr__", noting)
    server = Server(Limits())
    before = asyncio.all_tasks()
    for _ in range(12):
        server.connect().send(get("/wait"))
    await server.settle()
    written = [repr(task) for task in asyncio.all_tasks() - before]
    assert len(written) == 12
    assert not accounts, "nor all other tasks, which have them too"
