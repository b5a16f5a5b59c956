from __future__ import annotations

import asyncio
import math

import pytest

from benchmarks.__main__ import PARTS
from benchmarks.client import Client
from benchmarks.figures import median, milliseconds, quantile, rate
from benchmarks.fixed import RawServer
from benchmarks.load import END_OF_HEADERS, Job, content_length, get, post, run
from benchmarks.offerings import identifier, offering, stored_offerings
from benchmarks.report import Figure, Row, Table
from tests.conftest import CHECKOUT

pytestmark = pytest.mark.enable_socket


def test_a_quantile_is_one_of_the_values() -> None:
    values = [float(n) for n in range(1, 101)]
    assert (median(values), quantile(values, 0.99), quantile(values, 1.0)) == (50.0, 99.0, 100.0)
    assert quantile([7.0], 0.99) == 7.0
    assert math.isnan(median([]))


def test_figures_are_written_with_their_unit() -> None:
    assert [rate(12_345.6), rate(1.25), milliseconds(0.00321), milliseconds(1.5)] == [
        "12,346/s",
        "1.2/s",
        "3.21 ms",
        "1,500 ms",
    ]


def test_a_table_aligns_its_columns_and_leaves_out_what_a_row_has_not() -> None:
    table = Table(
        "Bus",
        (
            Row("idle", (Figure("p50", 0.035, "seconds"), Figure("p99", math.nan, "seconds"))),
            Row("busy", (Figure("events", 1000.0, "per second"),)),
        ),
        ("noted",),
    )
    assert list(table.lines()) == [
        "",
        "Bus",
        "-" * 27,
        "          p50  p99   events",
        "idle  35.0 ms    -",
        "busy                1,000/s",
        "  noted",
    ]


@pytest.mark.parametrize(
    "header", [b"content-length: 12", b"Content-Length:12", b"x: 1\r\ncontent-length:  12"]
)
def test_the_length_of_a_response_is_read_from_its_headers(header: bytes) -> None:
    response = b"HTTP/1.1 200 OK\r\n" + header + END_OF_HEADERS
    assert content_length(response, len(response) - 4) == 12


def test_the_same_offerings_are_stored_in_every_run() -> None:
    assert list(stored_offerings(3)) == list(stored_offerings(3))
    assert offering(1) != offering(2)
    assert len({identifier(number) for number in range(1000)}) == 1000


async def raw_server() -> tuple[asyncio.Server, int]:
    server = await asyncio.get_running_loop().create_server(RawServer, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


async def test_a_job_ends_after_its_count_and_counts_every_response() -> None:
    server, port = await raw_server()
    result = await run(Job(port, (get("/a"), get("/b")), connections=3, seconds=20.0, count_max=100))
    server.close()
    assert (result.responses, result.errors) == (100, 0)
    assert 0 < result.p50_s <= result.p99_s


async def test_an_unexpected_status_is_an_error_with_an_example() -> None:
    server, port = await raw_server()
    result = await run(Job(port, (get("/"),), connections=1, seconds=20.0, status=201, count_max=5))
    server.close()
    assert (result.responses, result.errors) == (0, 5)
    assert result.example_error.startswith("HTTP/1.1 200 OK")


async def test_the_client_reads_one_response_after_the_other() -> None:
    server, port = await raw_server()
    async with Client.connected(port) as client:
        for _ in range(2):
            response = await client.send(post("/", b"{}", token="t"))
            assert (response.status, response.headers["content-type"]) == (200, "application/json")
    server.close()


def test_every_part_of_the_benchmarks_is_described() -> None:
    described = (CHECKOUT / "docs" / "benchmarks.md").read_text()
    assert all(f"`{part}`" in described for part in PARTS)
