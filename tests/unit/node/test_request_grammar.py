"""Heads, bodies and trailers: what is HTTP has one meaning, and everything else is refused."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.node.http.connection.protocol import HEAD_SIZE_MAX_BYTES
from hansa.node.http.connection.request_head import FIELDS_MAX
from tests.support.connections import Received, Server

HOST = b"Host: x\r\n"


def head(*lines: bytes, first: bytes = b"GET / HTTP/1.1") -> bytes:
    """A head with these lines, and a host."""
    return b"".join(line + b"\r\n" for line in (first, b"Host: x", *lines)) + b"\r\n"


async def answered(*parts: bytes) -> tuple[list[int], list[Received]]:
    """Statuses, and the requests that got through."""
    server = Server()
    client = server.connect()
    for part in parts:
        client.send(part)
        await server.settle()
    return client.statuses, server.received


MALFORMED = {
    "two hosts": head(b"Host: y"),
    "two hosts alike": head(b"host: x"),
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "a host that is none": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "a host with a path": b"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n",
    "two tokens": head(b"Authorization: Bearer a", b"Authorization: Bearer b"),
    "two tokens of members": head(b"Member-Token: a", b"member-token: b"),
    "two lengths": head(b"Content-Length: 5", b"Content-Length: 6"),
    "two lengths alike": head(b"Content-Length: 5", b"Content-Length: 5"),
    "a list of lengths": head(b"Content-Length: 5, 5"),
    "a length with a sign": head(b"Content-Length: +5"),
    "a negative length": head(b"Content-Length: -1"),
    "a length in hexadecimal": head(b"Content-Length: 0x5"),
    "an empty length": head(b"Content-Length:"),
    "digits of another script": head("Content-Length: \u0665".encode()),
    "a length beyond all bounds": head(b"Content-Length: " + b"9" * 30),
    "length and chunks": head(b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    "chunks and length": head(b"Transfer-Encoding: chunked", b"Content-Length: 5"),
    "two codings": head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "chunks in 1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a folded line": head(b"X: a\r\n b"),
    "a line that is folded first": b"GET / HTTP/1.1\r\n Host: x\r\n\r\n",
    "a space before the colon": head(b"X : a"),
    "a tab before the colon": head(b"Content-Length\t: 5"),
    "no colon": head(b"X"),
    "no name": head(b": a"),
    "a bare line feed": b"GET / HTTP/1.1\nHost: x\n\n",
    "a bare line feed in a value": head(b"X: a\nY: b"),
    "a bare return in a value": head(b"X: a\rY: b"),
    "a NUL in a value": head(b"X: a\x00b"),
    "a NUL in a name": head(b"X\x00: a"),
    "a control character": head(b"X: a\x07"),
    "a bracket in a name": head(b"X[]: a"),
    "a NUL in the target": head(first=b"GET /\x00 HTTP/1.1"),
    "a space in the target": head(first=b"GET /a b HTTP/1.1"),
    "a tab in the target": head(first=b"GET /a\tb HTTP/1.1"),
    "no ASCII in the target": head(first="GET /ü HTTP/1.1".encode()),
    "a fragment": head(first=b"GET /#a HTTP/1.1"),
    "half an escape": head(first=b"GET /%4 HTTP/1.1"),
    "no path": head(first=b"GET x HTTP/1.1"),
    "no target": head(first=b"GET  HTTP/1.1"),
    "two spaces": head(first=b"GET  / HTTP/1.1"),
    "an asterisk for a GET": head(first=b"GET * HTTP/1.1"),
    "an authority": head(first=b"CONNECT x:80 HTTP/1.1"),
    "another host in the target": head(first=b"GET http://y/ HTTP/1.1"),
    "a user in the target": head(first=b"GET http://u@x/ HTTP/1.1"),
    "another scheme": head(first=b"GET file:///etc/passwd HTTP/1.1"),
    "a method in lower case": head(first=b"get / HTTP/1.1"),
    "a method with a mark": head(first=b"GE(T / HTTP/1.1"),
    "a long method": head(first=b"G" * 40 + b" / HTTP/1.1"),
    "no version": b"GET /\r\nHost: x\r\n\r\n",
    "a version in lower case": head(first=b"GET / http/1.1"),
    "another protocol": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n",
    "nothing but NULs": b"\x00" * 1000,
}


@pytest.mark.parametrize("what", MALFORMED)
@pytest.mark.parametrize("size", [1, 7, 100_000], ids=["byte by byte", "seven at a time", "at once"])
async def test_what_is_no_http_is_refused_however_it_arrives(what: str, size: int) -> None:
    sent = MALFORMED[what]
    parts = [sent[start : start + size] for start in range(0, len(sent), size)]
    statuses, received = await answered(*parts)
    assert (statuses, received) == ([400], [])


async def test_what_follows_a_refusal_is_not_read() -> None:
    statuses, received = await answered(head(b"X : a") + head() + head(), head())
    assert (statuses, received) == ([400], [])


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (head(first=b"GET / HTTP/2.0"), 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (head(first=b"GET / HTTP/1.2"), 505),
        (head(b"Transfer-Encoding: gzip, chunked", first=b"POST / HTTP/1.1"), 501),
        (head(b"Transfer-Encoding: identity", first=b"POST / HTTP/1.1"), 501),
        (head(b"Expect: a-miracle"), 417),
        (head(*[b"X: y"] * FIELDS_MAX), 431),
        (head(b"X: " + b"y" * HEAD_SIZE_MAX_BYTES), 431),
        (head(b"X: " + b"y" * HEAD_SIZE_MAX_BYTES)[:-4], 431),
        (b"GET /" + b"y" * HEAD_SIZE_MAX_BYTES + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
    ],
)
async def test_what_is_more_than_is_taken_has_its_own_status(sent: bytes, status: int) -> None:
    assert await answered(sent) == ([status], [])


async def test_seventy_thousand_bytes_of_a_head_are_refused_in_one_read_and_in_many() -> None:
    sent = head(*[b"X-%d: %b" % (n, b"y" * 1000) for n in range(70)])
    assert len(sent) > 70_000
    assert await answered(sent) == ([431], [])
    assert await answered(*[sent[at : at + 1000] for at in range(0, len(sent), 1000)]) == ([431], [])


async def test_what_is_unusual_and_right_is_taken() -> None:
    for sent, target in (
        (b"\r\n" + head(), "/"),
        (head(first=b"GET http://x/a?b=c HTTP/1.1"), "/a?b=c"),
        (head(first=b"GET HTTP://X HTTP/1.1"), "/"),
        (head(first=b"GET http://x?b HTTP/1.1"), "/?b"),
        (b"GET / HTTP/1.0\r\n\r\n", "/"),
        (head(first=b"OPTIONS * HTTP/1.1"), "*"),
        (head(first=b"GET /a%20b?[?(@.x=='|')] HTTP/1.1"), "/a b?[?(@.x=='|')]"),
    ):
        statuses, received = await answered(sent)
        assert (statuses, [one.target for one in received]) == ([200], [target]), sent


async def test_lines_of_one_list_are_joined() -> None:
    _, received = await answered(head(b"Accept: a", b"Cookie: a=1", b"accept:  b \t", b"Cookie: b=2"))
    assert received[0].headers[b"accept"] == b"a, b"
    assert received[0].headers[b"cookie"] == b"a=1; b=2"


# -- bodies -------------------------------------------------------------------------------------------------------


CHUNKED = head(b"Transfer-Encoding: chunked", first=b"POST / HTTP/1.1")
ENOUGH = 1_100

MALFORMED_CHUNKS = {
    "no size": b"\r\n\r\n",
    "a size that is none": b"x\r\n",
    "a size with a sign": b"-1\r\n",
    "a size with a mark": b"0x5\r\nhello\r\n0\r\n\r\n",
    "a size with a space": b" 5\r\nhello\r\n",
    "a size of many digits": b"0" * 16 + b"\r\n",
    "a bare line feed": b"5\nhello\r\n0\r\n\r\n",
    "a chunk that is longer than it says": b"5\r\nhello!\r\n",
    "a chunk that ends with a line feed": b"5\r\nhello\n0\r\n\r\n",
    "an extension with a control character": b"5;a=\x00\r\nhello\r\n",
    "an extension without end": b"5;" + b"a" * 10_000,
    "extensions without end": b"1;aaaaaaaaa\r\nx\r\n" * ENOUGH,
    "chunks of one byte": b"1\r\nx\r\n" * 3000,
    "a trailer that is none": b"0\r\nX\r\n\r\n",
    "a folded trailer": b"0\r\nX: a\r\n b\r\n\r\n",
    "a trailer with a bare line feed": b"0\r\nX: a\n\r\n\r\n",
    "a length as a trailer": b"0\r\nContent-Length: 5\r\n\r\n",
    "a host as a trailer": b"0\r\nHost: y\r\n\r\n",
    "a token as a trailer": b"0\r\nAuthorization: Bearer x\r\n\r\n",
    "a trailer without end": b"0\r\nX: " + b"a" * 20_000,
}


@pytest.mark.parametrize("what", MALFORMED_CHUNKS)
@pytest.mark.parametrize("size", [1, 1000, 100_000])
async def test_a_body_that_is_not_chunked_as_it_says_is_refused(what: str, size: int) -> None:
    sent = MALFORMED_CHUNKS[what]
    parts = [sent[start : start + size] for start in range(0, len(sent), size)]
    server = Server()
    client = server.connect()
    client.send(CHUNKED, *parts)
    await server.settle()
    assert (client.statuses, server.received) == ([400], [])


@pytest.mark.parametrize("size", [10, 100_000])
@pytest.mark.parametrize("line", [b"X: a\r\n", b"X: " + b"a" * 1000 + b"\r\n"])
async def test_trailers_are_counted(line: bytes, size: int) -> None:
    server = Server()
    client = server.connect()
    sent = CHUNKED + b"0\r\n" + line * 2000
    for start in range(0, len(sent), size):
        client.send(sent[start : start + size])
        if client.is_paused:
            await server.settle()
    await server.settle()
    assert (client.statuses, server.received) == ([431], [])


async def test_extensions_and_trailers_in_measure_are_read_over() -> None:
    body = b'5;a=b;c="d"\r\nhello\r\n6 ; e\r\n there\r\n0;f\r\nX-Digest: a\r\nY: b\r\n\r\n'
    statuses, received = await answered(CHUNKED + body + head())
    assert statuses == [200, 200]
    assert [one.body for one in received] == [b"hello there", b""]
    assert b"x-digest" not in received[0].headers


bodies = st.lists(st.binary(min_size=1, max_size=300), max_size=5)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), contents=st.lists(st.tuples(st.booleans(), bodies), min_size=1, max_size=4))
async def test_requests_are_the_same_however_their_bytes_arrive(
    data: st.DataObject, contents: list[tuple[bool, list[bytes]]]
) -> None:
    sent = b""
    for number, (is_chunked, parts) in enumerate(contents):
        first = b"POST /%d HTTP/1.1" % number
        if is_chunked:
            sent += head(b"Transfer-Encoding: chunked", first=first)
            sent += b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        else:
            whole = b"".join(parts)
            sent += head(b"Content-Length: %d" % len(whole), first=first) + whole
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=12)))
    server = Server()
    client = server.connect()
    for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        if data.draw(st.booleans()):
            server.use_up_turn()
        client.send(sent[start:end])
        if data.draw(st.booleans()):
            await server.settle()
    for _ in contents:
        await server.settle()
    assert [(one.target, one.body) for one in server.received] == [
        (f"/{number}", b"".join(parts)) for number, (_, parts) in enumerate(contents)
    ]
    assert client.statuses == [200] * len(contents)


NAMES = st.sampled_from(
    [
        b"Host",
        b"host",
        b"Content-Length",
        b"Transfer-Encoding",
        b"Expect",
        b"Connection",
        b"X",
        b"X ",
        b"",
        b"\tX",
    ]
)
VALUES = st.one_of(
    st.sampled_from(
        [b"x", b"5", b"5, 5", b"+5", b"chunked", b"close", b"100-continue", b"a\r\n b", b"a\x00", b""]
    ),
    st.binary(max_size=12),
)
ENDS = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\r\n "])
LINES = st.tuples(NAMES, st.sampled_from([b": ", b":", b" : ", b""]), VALUES, ENDS).map(b"".join)
FIRST = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n",
        b"POST /a HTTP/1.1\r\n",
        b"GET /\x80 HTTP/1.1\r\n",
        b"GET / HTTP/1.1\n",
        b" GET / HTTP/1.1\r\n",
    ]
)


@settings(max_examples=200, deadline=None)
@given(
    first=FIRST,
    lines=st.lists(LINES, max_size=4),
    body=st.sampled_from([b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n"]),
)
async def test_what_is_taken_means_the_same_to_another_strict_reader(
    first: bytes, lines: list[bytes], body: bytes
) -> None:
    sent = first + HOST + b"".join(lines) + b"\r\n" + body
    _, received = await answered(sent)
    if not received:
        return
    other = h11.Connection(h11.SERVER)
    other.receive_data(sent)
    request = other.next_event()
    assert isinstance(request, h11.Request)
    content = b""
    while isinstance(event := other.next_event(), h11.Data):
        content += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage)
    assert (received[0].method.encode(), received[0].body) == (request.method, content)


FIELD_LINES = st.lists(
    st.sampled_from(
        (
            b"Host: x",
            b"Authorization: Bearer a",
            b"Authorization: Bearer b",
            b"Cookie: a",
            b"Content-Length: 2",
            b"Content-Length: 03",
            b"content-length: 2",
            b"Content-Length:  2",
            b"Transfer-Encoding: chunked",
            b"Connection: close",
            b"Expect: 100-continue",
            b"X-Forwarded-For: 192.0.2.7",
            b"X: " + b"y" * 5000,
            b"X: Content-Length: 2",
        )
    ),
    max_size=5,
)
SEVERAL = st.lists(
    st.tuples(st.sampled_from((b"GET", b"POST")), st.sampled_from(b"01"), FIELD_LINES), max_size=6
)


@given(several=SEVERAL)
@settings(max_examples=300)
async def test_a_request_means_the_same_whatever_was_sent_before_it(
    several: list[tuple[bytes, int, list[bytes]]],
) -> None:
    requests = []
    for method, minor, lines in several:
        first = b"%b / HTTP/1.%c" % (method, minor)
        body = b"2\r\nab\r\n0\r\n\r\n" if b"Transfer-Encoding: chunked" in lines else b"abc"[: _length(lines)]
        requests.append(b"".join(line + b"\r\n" for line in (first, *lines)) + b"\r\n" + body)
    together, shared = await answered(*requests)
    expected: list[Received] = []
    for request in requests[: len(together)]:
        expected += (await answered(request))[1]
    assert shared == expected[: len(shared)]
    assert len(shared) == sum(status == 200 for status in together)


def _length(lines: list[bytes]) -> int:
    """Of the body that belongs to a head, if it is valid."""
    values = [line.partition(b":")[2] for line in lines if line.lower().startswith(b"content-length:")]
    return int(values[0]) if values else 0


async def test_a_head_without_lines_has_none_of_the_request_before_it() -> None:
    long = head(b"X: " + b"y" * 5000, b"Authorization: Bearer a")
    assert (await answered(long, b"GET / HTTP/1.1\r\n\r\n"))[0] == [200, 400]
    _, received = await answered(long, b"GET / HTTP/1.0\r\n\r\n")
    assert [b"authorization" in one.headers for one in received] == [True, False]
