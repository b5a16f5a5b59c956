from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from hansa.core.errors import Code, Refused
from hansa.core.http import HttpRequest
from hansa.core.web_addresses import is_allowed_address, web_address
from hansa.node.outbound import LOOKUPS_MAX, OutboundClient, SystemResolver

PUBLIC = ("93.184.215.14", "2606:2800:21f:cb07::1", "::ffff:93.184.215.14", "64:ff9b::93.184.215.14")
PRIVATE = ("127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.9.9", "::1", "fd00::1", "::ffff:10.0.0.1")
NEVER = (
    "0.0.0.0",  # noqa: S104 - an address to refuse
    "169.254.169.254",
    "fe80::1",
    "224.0.0.1",
    "ff02::1",
    "::",
    "::ffff:169.254.169.254",
    "64:ff9b::169.254.169.254",
    "2002:a9fe:a9fe::1",
)


async def everything(origin: str) -> bool:
    return True


class FixedResolver(AbstractResolver):
    """Knows one address for every name, and how often it was asked."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked.append(host)
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)
            for address in self.addresses
        ]

    async def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_allowed(text: str) -> None:
    assert is_allowed_address(ipaddress.ip_address(text), allow_private_networks=False)


@pytest.mark.parametrize("text", PRIVATE)
def test_a_private_address_is_allowed_where_private_networks_are(text: str) -> None:
    assert not is_allowed_address(ipaddress.ip_address(text), allow_private_networks=False)
    assert is_allowed_address(ipaddress.ip_address(text), allow_private_networks=True)


@pytest.mark.parametrize("text", NEVER)
def test_link_local_and_multicast_addresses_are_never_allowed(text: str) -> None:
    assert not is_allowed_address(ipaddress.ip_address(text), allow_private_networks=False)
    assert not is_allowed_address(ipaddress.ip_address(text), allow_private_networks=True)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Market.example/a?b", "https://market.example:443"),
        ("http://market.example:8101/", "http://market.example:8101"),
        ("http://[2001:db8::1]/", "http://[2001:db8::1]:80"),
    ],
)
def test_the_origin_of_a_url_is_written_out(url: str, origin: str) -> None:
    assert web_address(url).origin == origin


@pytest.mark.parametrize(
    "url",
    [
        "",
        "market.example",
        "ftp://market.example/",
        "file:///etc/passwd",
        "http:///path",
        "http://user:pass@market.example/",
        "http://market.example:0/",
        "http://market.example:99999/",
        "http://market.example\\@evil.example/",
        "http://market.example/ HTTP/1.1\r\nX: y",
        "http://märket.example/",
        "http://market.example/" + "x" * 9000,
    ],
)
def test_what_is_no_plain_web_address_is_refused(url: str) -> None:
    with pytest.raises(Refused) as caught:
        web_address(url)
    assert caught.value.code is Code.HOST_NOT_ALLOWED


async def refused(client: OutboundClient, url: str) -> str:
    with pytest.raises(Refused) as caught:
        await client.send(HttpRequest("GET", url))
    await client.close()
    assert caught.value.code is Code.HOST_NOT_ALLOWED
    return caught.value.message


async def test_a_host_that_is_not_registered_is_refused_without_looking_it_up() -> None:
    async def only_riga(origin: str) -> bool:
        return origin == "https://riga.example:443"

    resolver = FixedResolver("93.184.215.14")
    client = OutboundClient(only_riga, allow_private_networks=False, resolver=resolver)
    assert "neither" in await refused(client, "https://evil.example/")
    assert resolver.asked == []


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "10.0.0.1", "[::ffff:127.0.0.1]", "169.254.169.254"])
async def test_an_address_written_out_is_looked_at(host: str) -> None:
    client = OutboundClient(everything, allow_private_networks=False)
    assert "public" in await refused(client, f"http://{host}/")


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "10.0.0.1"])
async def test_a_name_that_leads_into_a_private_network_is_refused(address: str) -> None:
    client = OutboundClient(everything, allow_private_networks=False, resolver=FixedResolver(address))
    assert "public" in await refused(client, "http://market.example/")


async def test_numbers_that_only_some_take_for_an_address_lead_nowhere() -> None:
    for host in ("2130706433", "0x7f.1", "127.1", "0177.0.0.1"):
        client = OutboundClient(everything, allow_private_networks=False, resolver=FixedResolver("127.0.0.1"))
        assert await refused(client, f"http://{host}/")


# -- looking names up --------------------------------------------------------------------------------------------


async def test_the_addresses_of_a_name_are_those_that_the_system_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def known(host: str, port: int, family: int, kind: int, *, flags: int) -> list[Any]:
        assert (host, kind) == ("market.example", socket.SOCK_STREAM)
        return [
            (socket.AF_INET, kind, 6, "", ("192.0.2.1", port)),
            (socket.AF_INET6, kind, 6, "", ("2001:db8::1", port, 0, 0)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", known)
    found = await SystemResolver().resolve("market.example", 8080)
    assert [(one["host"], one["port"], one["family"]) for one in found] == [
        ("192.0.2.1", 8080, socket.AF_INET),
        ("2001:db8::1", 8080, socket.AF_INET6),
    ]


@pytest.mark.parametrize(
    "problem", [socket.gaierror(-2, "unknown"), UnicodeError("no name"), RuntimeError("no")]
)
async def test_whatever_fails_reaches_whoever_waits(
    problem: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> list[Any]:
        raise problem

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(type(problem)):
        await SystemResolver().resolve("market.example")


class SilentNameServer:
    """In the place of `socket.getaddrinfo`: no answer comes until `answers` is set."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.asked = 0

    def __call__(self, *_: Any, **__: Any) -> list[Any]:
        self.asked += 1
        self.answers.wait()
        return []


def test_a_name_server_that_does_not_answer_holds_up_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = SilentNameServer()
    monkeypatch.setattr(socket, "getaddrinfo", silent)

    async def look_up_and_leave() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await SystemResolver().resolve("market.example")

    asyncio.run(look_up_and_leave())  # would wait for its own threads
    assert not silent.answers.is_set()
    silent.answers.set()


async def test_what_nobody_waits_for_any_more_counts_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    silent, resolver = SilentNameServer(), SystemResolver()
    monkeypatch.setattr(socket, "getaddrinfo", silent)
    lookups = [asyncio.create_task(resolver.resolve("market.example")) for _ in range(LOOKUPS_MAX)]
    await asyncio.sleep(0)
    for each in lookups:
        each.cancel()
    await asyncio.gather(*lookups, return_exceptions=True)
    further = asyncio.create_task(resolver.resolve("market.example"))
    await asyncio.sleep(0)
    assert silent.asked <= LOOKUPS_MAX
    assert not further.done()
    silent.answers.set()
    assert await further == []
