"""The load generator: keep-alive connections over raw sockets, in a process of its own.

A job names a server, a set of ready-made requests and a time. Each connection has one request under way; when
the whole response is there, the next request is sent. Of a response, only status and length are read,
so that the generator costs a fraction of what the server costs. Its ceiling is measured against
`benchmarks.fixed raw`, a server that does nothing, and printed with the results: a figure near the ceiling
says little about the server.

Run as `python -m benchmarks.load`, it reads jobs from standard input, a JSON object a line, and writes a
result for each to standard output.
"""

from __future__ import annotations

import asyncio
import sys
from array import array
from collections.abc import Sequence
from time import perf_counter
from typing import Final, cast

import msgspec
import uvloop

from benchmarks.figures import quantile

CONNECT_TIMEOUT_S: Final = 10.0
RESPONSE_TIMEOUT_S: Final = 30.0
END_OF_HEADERS: Final = b"\r\n\r\n"
LENGTH: Final = b"content-length:"


class Job(msgspec.Struct, frozen=True):
    """What to send where, for how long."""

    port: int
    requests: tuple[bytes, ...]
    """Sent one after the other, and again from the first."""
    connections: int
    seconds: float
    status: int = 200
    """Expected status of every response; another one is an error."""
    count_max: int = 0
    """End after that many responses, even before the time is over; 0 for no bound."""
    host: str = "127.0.0.1"
    pause_s: float = 0.0
    """Of each connection, between a response and the next request."""


class Result(msgspec.Struct, frozen=True):
    """The result of a job."""

    responses: int
    errors: int
    seconds: float
    p50_s: float
    p99_s: float
    example_error: str = ""

    @property
    def rate(self) -> float:
        """Responses with the expected status, per second."""
        return self.responses / self.seconds if self.seconds else 0.0


class Tally:
    """The counts of all connections of a job."""

    def __init__(self, job: Job) -> None:
        self.latencies = array("d")
        self.errors = 0
        self.example_error = ""
        self.deadline = 0.0
        self._job = job
        self._sent = 0

    def next_request(self, now: float) -> bytes | None:
        """The next request; None when the job is over."""
        job = self._job
        if now >= self.deadline or (job.count_max and self._sent >= job.count_max):
            return None
        request = job.requests[self._sent % len(job.requests)]
        self._sent += 1
        return request


class Connection(asyncio.Protocol):
    """One request under way, again and again."""

    def __init__(self, tally: Tally, status: int, pause_s: float = 0.0) -> None:
        self._tally = tally
        self._pause_s = pause_s
        self._expected = str(status).encode()
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._sent_at = 0.0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport; the job starts all connections at once."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's does not inherit from it

    def send_next(self, now: float) -> None:
        """Send the next request, or end."""
        request = self._tally.next_request(now)
        if request is None:
            self._end()
            return
        self._sent_at = now
        assert self._transport is not None
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Collect until the response is complete."""
        buffer = self._buffer + data if self._buffer else data
        end = buffer.find(END_OF_HEADERS)
        if end < 0 or len(buffer) < end + 4 + content_length(buffer, end):
            self._buffer = buffer
            return
        self._buffer = b""
        now = perf_counter()
        if buffer[9:12] == self._expected:
            self._tally.latencies.append(now - self._sent_at)
        else:
            self._tally.errors += 1
            self._tally.example_error = buffer[:400].decode(errors="replace")
        if self._pause_s:
            asyncio.get_running_loop().call_later(self._pause_s, self._send_after_pause)
        else:
            self.send_next(now)

    def _send_after_pause(self) -> None:
        if not self.done.done():
            self.send_next(perf_counter())

    def connection_lost(self, exc: Exception | None) -> None:
        """The server closed the connection in the middle of a job: an error."""
        if not self.done.done():
            self._tally.errors += 1
            self._tally.example_error = f"connection lost: {exc}"
            self._end()

    def _end(self) -> None:
        if not self.done.done():
            self.done.set_result(None)
        if self._transport is not None:
            self._transport.close()


def content_length(buffer: bytes, end: int) -> int:
    """Length of the body, from the headers that end at `end`."""
    start = buffer.find(LENGTH, 0, end)
    if start < 0:
        headers = buffer[:end].lower()
        start = headers.find(LENGTH)
        if start < 0:
            return 0
    stop = buffer.find(b"\r\n", start)
    return int(buffer[start + len(LENGTH) : stop])


async def run(job: Job) -> Result:
    """Do one job."""
    loop = asyncio.get_running_loop()
    tally = Tally(job)
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        connections = [
            (
                await loop.create_connection(
                    lambda: Connection(tally, job.status, job.pause_s), job.host, job.port
                )
            )[1]
            for _ in range(job.connections)
        ]
    started = perf_counter()
    tally.deadline = started + job.seconds
    for connection in connections:
        connection.send_next(perf_counter())
    async with asyncio.timeout(job.seconds + RESPONSE_TIMEOUT_S):
        await asyncio.gather(*(connection.done for connection in connections))
    latencies: Sequence[float] = tally.latencies
    return Result(
        responses=len(latencies),
        errors=tally.errors,
        seconds=perf_counter() - started,
        p50_s=quantile(latencies, 0.5),
        p99_s=quantile(latencies, 0.99),
        example_error=tally.example_error,
    )


def get(path: str, token: str = "", host: str = "localhost") -> bytes:
    """A ready-made GET request."""
    return _request("GET", path, token, host)


def post(path: str, body: bytes, token: str = "", host: str = "localhost") -> bytes:
    """A ready-made POST request with a JSON body."""
    return _request("POST", path, token, host, body)


def patch(path: str, body: bytes, token: str = "", host: str = "localhost") -> bytes:
    """A ready-made PATCH request with a merge patch."""
    return _request("PATCH", path, token, host, body)


def delete(path: str, token: str = "", host: str = "localhost") -> bytes:
    """A ready-made DELETE request."""
    return _request("DELETE", path, token, host)


def _request(method: str, path: str, token: str, host: str, body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"host: {host}", "accept: application/json"]
    if token:
        lines.append(f"authorization: Bearer {token}")
    if body:
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join(lines).encode() + END_OF_HEADERS + body


def main() -> None:
    """Serve jobs from standard input until it ends."""
    for line in sys.stdin.buffer:
        result = uvloop.run(run(msgspec.json.decode(line, type=Job)))
        sys.stdout.buffer.write(msgspec.json.encode(result) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
