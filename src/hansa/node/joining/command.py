"""What `hansa join` does: asks the members, makes the folder, waits for their decision."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from hansa.core.clock import Clock
from hansa.core.errors import Code, Fatal, HansaError
from hansa.core.members import Member, normal_endpoint
from hansa.core.web_addresses import is_allowed_address
from hansa.node.folder import CARD, JOINING, check_new_folder, read_card
from hansa.node.joining.inquiry import LeagueReport, inquire, members_of
from hansa.node.joining.joining import Newcomer, join_league
from hansa.node.joining.mark import read_joining
from hansa.node.outbound import OutboundClient
from hansa.node.settings.loading import load_settings
from hansa.node.settings.setting import Value

POLL_S: Final = 2.0


async def join_running_league(
    folder: Path, urls: Sequence[str], name: str, endpoint: str, clock: Clock, **options: Any
) -> tuple[LeagueReport, Newcomer, bool]:
    """Ask the members and make the folder; also whether the league is on a private network.

    See `join_league` for the arguments.
    """
    check_new_folder(folder)
    hosts = [urlsplit(normal_endpoint(url)).hostname or "" for url in urls]
    is_private = any(map(_is_private, hosts))
    async with _client(is_private=is_private) as http:
        report = await inquire(http, urls, clock)
    settings: dict[str, Value] = {}
    if is_private:
        settings["allow_private_networks"] = True
    if all(map(_is_loopback, hosts)):
        settings["single_machine"] = True
    newcomer = join_league(folder, report, name, endpoint, clock, **options, further_settings=settings)
    return report, newcomer, is_private


async def wait_until_admitted(folder: Path, clock: Clock) -> Member:
    """Wait until the registry has the marketplace in a folder; how it has it.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when it is no newcomer's folder.
    """
    joining, did = read_joining(folder), read_card(folder / CARD).member.did
    if joining is None:
        raise Fatal(Code.SETTINGS_INVALID, f"{folder / JOINING} is missing: this is no newcomer's folder.")
    is_private = load_settings(folder, {}).allow_private_networks
    async with _client(is_private=is_private) as http:
        while True:
            try:
                members = await members_of(http, joining.members)
            except HansaError:
                members = ()  # nobody answers just now
            admitted = next((one for one in members if one.did == did), None)
            if admitted is not None:
                return admitted
            await clock.sleep(POLL_S)


@asynccontextmanager
async def _client(*, is_private: bool) -> AsyncIterator[OutboundClient]:
    """A client that may ask every member: those of a league that one is about to join are not known yet."""

    async def is_any(_: str) -> bool:
        return True

    client = OutboundClient(is_any, allow_private_networks=is_private)
    try:
        yield client
    finally:
        await client.close()


def _is_private(host: str) -> bool:
    """Whether a host that the operator named is at an address of a private network."""
    addresses = _addresses(host)
    return bool(addresses) and not any(
        is_allowed_address(one, allow_private_networks=False) for one in addresses
    )


def _is_loopback(host: str) -> bool:
    addresses = _addresses(host)
    return bool(addresses) and all(one.is_loopback for one in addresses)


def _addresses(host: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        pass
    try:
        resolved = socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return []
    return [ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in resolved]
