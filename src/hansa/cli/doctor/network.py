"""The checks of `hansa doctor` over the network: the running marketplace, other members, certificates."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography import x509

from hansa.cli.client import Client
from hansa.cli.doctor.results import CheckResult, look, ok, wrong
from hansa.cli.status import fetch_status, number, state_in, text_of
from hansa.core.clock import Clock
from hansa.core.errors import HansaError
from hansa.core.foreign_text import printable
from hansa.core.members import Member
from hansa.core.web_addresses import is_allowed_address
from hansa.node.health import ConditionCode, remedy_of
from hansa.node.outbound import OutboundClient
from hansa.node.preflight import check_clock_by_members
from hansa.node.settings.loading import Settings

TIMEOUT_S: Final = 3.0
CERTIFICATE_RENEW_DAYS: Final = 14
MEMBERS_CHECKED_MAX: Final = 64
SEARCHES_SHOWN_MAX: Final = 5
SUMMARY_MAX_CHARS: Final = 500
WORTH_A_LOOK: Final = frozenset({ConditionCode.VALIDATOR_OBSERVES, ConditionCode.ENTITIES_REFUSED})
"""Conditions that need no hurry; all others are wrong."""

Report = Mapping[str, Any]
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""Gives the addresses of a host."""


async def check_running(settings: Settings, token: str) -> list[CheckResult]:
    """The status that the running marketplace reports to an operator."""
    try:
        async with asyncio.timeout(TIMEOUT_S), Client(settings.endpoint, token, connections_max=1) as client:
            report = await fetch_status(client)
    except (HansaError, TimeoutError) as error:
        reason = error.message if isinstance(error, HansaError) else "no answer in time"
        return [
            wrong("answers", reason, "Look at its log; is the endpoint the address at which it is reached?")
        ]
    results = [*check_answer(report), check_ledger(report)]
    results += map(check_condition, conditions_in(report))
    if report.get("failed"):
        todo = "Repeated automatically; `hansa status` shows the reasons."
        results.append(look("retrieval", f"{number(report, 'failed')} failed", todo))
    results.append(check_indexes(report.get("unindexed")))
    search = report.get("search")
    if isinstance(search, dict) and search.get("is_building"):
        todo = "It is built while the marketplace serves, and searches miss what is not in it yet: wait."
        behind = f"its index is being built: {number(search, 'behind')} changes are missing"
        results.append(look("search", behind, todo))
    return results


def check_answer(report: Report) -> list[CheckResult]:
    """Whether it takes traffic, as the marketplace reports it."""
    shown = f"version {text_of(report.get('version'))}"
    if report.get("is_ready"):
        return [ok("answers", f"{state_in(report)}, {shown}")]
    conditions = {one.get("message") for one in conditions_in(report)}
    reasons = [reason for reason in report.get("reasons") or () if reason not in conditions]
    shown = "; ".join(printable(str(reason), SUMMARY_MAX_CHARS) for reason in reasons)
    return [
        wrong(
            "answers", f"not ready: {shown}", "Wait if it is starting; else see below, and look at its log."
        )
    ]


def check_ledger(report: Report) -> CheckResult:
    """Whether the ledger answers and other members are connected."""
    state = f"height {number(report, 'height')}, {number(report, 'peers')} peers, lag {number(report, 'lag')}"
    if report.get("height") is None:
        return wrong("ledger", "does not answer", "Look at the log lines of cometbft and ledger.")
    if isinstance(report.get("following"), dict):
        return ok("ledger", f"{state}; {_trusted_text(report)}")
    if report.get("peers") == 0 and len(report.get("powers") or ()) > 1:
        if any(one.get("code") == ConditionCode.NO_MEMBER for one in conditions_in(report)):
            return look("ledger", f"{state}: engines of members take those of members alone", "See below.")
        todo = "Check p2p_port, persistent_peers and the firewall."
        return wrong("ledger", f"{state}: no other member is connected", todo)
    return ok("ledger", state)


def _trusted_text(report: Report) -> str:
    """What a light member trusts, and how many of those that it follows do well."""
    following = report["following"]
    trusted = following.get("trusted")
    sources = following.get("sources")
    listed = [one for one in sources if isinstance(one, dict)] if isinstance(sources, list) else []
    well = sum(one.get("behavior") == "current" for one in listed)
    height = number(trusted, "height") if isinstance(trusted, dict) else "-"
    return f"verified from block {height}, {well} of {len(listed)} followed members are current"


def conditions_in(report: Report) -> list[Mapping[str, Any]]:
    """What a marketplace reports as not being as it should."""
    conditions = report.get("conditions")
    return [one for one in conditions if isinstance(one, dict)] if isinstance(conditions, list) else []


def check_condition(condition: Mapping[str, Any]) -> CheckResult:
    """A condition of a running marketplace, with its remedy."""
    code = text_of(condition.get("code"))
    message = printable(str(condition.get("message")), SUMMARY_MAX_CHARS)
    remedy = remedy_of(code) or "See docs/conditions.md."
    return (look if code in WORTH_A_LOOK else wrong)(code, message, remedy)


def check_indexes(searches: object) -> CheckResult:
    """Whether clients filter or sort by attributes that have no index.

    Args:
        searches: What the status reports as `unindexed`: a list of `{type, path, count}`.
    """
    unindexed = [one for one in searches if isinstance(one, dict)] if isinstance(searches, list) else []
    if not unindexed:
        return ok("indexes", "every filter so far had one")
    shown = ", ".join(
        f"{text_of(one.get('type'))}.{text_of(one.get('path'))} ({_times(one.get('count'))})"
        for one in unindexed[:SEARCHES_SHOWN_MAX]
    )
    todo = "Name attributes that are often used in `indexed_attributes` in hansa.toml, and restart."
    return look("indexes", f"lists without an index since the start: {shown}", todo)


def _times(count: object) -> str:
    return "once" if count == 1 else f"{text_of(count)} times"


async def check_peers(settings: Settings, others: Sequence[Member], clock: Clock) -> list[CheckResult]:
    """Whether the other members can be reached, over HTTP and by the engine, with clocks that agree."""
    members = await asyncio.gather(
        *(_check_member(settings, member) for member in others[:MEMBERS_CHECKED_MAX])
    )
    engines = await asyncio.gather(
        *(_check_engine(peer, others) for peer in settings.persistent_peers[:MEMBERS_CHECKED_MAX])
    )
    shared = await check_shared_addresses(settings)
    registered = check_registered_engines(settings, others)
    return [*members, *engines, *registered, *shared, await _check_clock(settings, others, clock)]


async def _check_member(settings: Settings, member: Member) -> CheckResult:
    check = f"member {printable(member.name, 64)}"
    if not settings.allow_private_networks:
        private = await private_addresses(member.endpoint)
        if private:
            shown = f"{member.endpoint} is at {', '.join(private)}: nothing is sent to private addresses"
            return wrong(check, shown, remedy_of(ConditionCode.RETRIEVALS_NOT_ALLOWED) or "")
    try:
        async with Client(member.endpoint, connections_max=1) as client:
            response = await client.request("GET", "/livez", timeout_s=TIMEOUT_S)
    except HansaError:
        return look(
            check, f"{member.endpoint} does not answer", "Its operator may know; the others go on without it."
        )
    if response.status != 200:
        return look(check, f"{member.endpoint} answers with status {response.status}", "Ask its operator.")
    return ok(check, f"{member.endpoint} answers")


async def _resolved(host: str) -> tuple[str, ...]:
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(str(address[4][0]) for address in addresses)


async def private_addresses(endpoint: str, resolve: Resolve = _resolved) -> tuple[str, ...]:
    """The addresses of an endpoint that nothing is sent to without `allow_private_networks`.

    An endpoint that cannot be resolved has none: that it cannot be reached is another check's result.
    """
    addresses = await _addresses(urlsplit(endpoint).hostname or "", resolve)
    if any(is_allowed_address(one, allow_private_networks=False) for one in addresses):
        return ()
    return tuple(sorted(map(str, addresses)))


async def _addresses(host: str, resolve: Resolve) -> frozenset[IpAddress]:
    """The addresses of a host; none of one that cannot be resolved."""
    try:
        return frozenset({ipaddress.ip_address(host)})
    except ValueError:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                resolved = await resolve(host)
        except (OSError, TimeoutError, UnicodeError):
            return frozenset()
        return frozenset(ipaddress.ip_address(one.partition("%")[0]) for one in resolved)


async def check_shared_addresses(settings: Settings, resolve: Resolve = _resolved) -> list[CheckResult]:
    """Whether engines of several other members are at one address, of which ours takes one at a time."""
    shared = () if settings.single_machine else await shared_addresses(settings.persistent_peers, resolve)
    if not shared:
        return []
    shown = f"several members' engines are at {', '.join(shared)}, and this one takes one of an address"
    todo = "When members share a machine or an address: `single_machine = true` in `hansa.toml`, and restart."
    return [wrong("engines", shown, todo)]


def check_registered_engines(settings: Settings, others: Sequence[Member]) -> list[CheckResult]:
    """Whether the engines that the settings name are those of members: keys of engines are replaced."""
    known = {node_id for member in others for node_id in member.node_ids}
    peers = (peer for peer in settings.persistent_peers if peer.partition("@")[0] not in known)
    unknown = ", ".join(printable(peer, 100) for peer in islice(peers, MEMBERS_CHECKED_MAX))
    if not unknown:
        return []
    todo = (
        "Write the id that its member has registered (`hansa league members --json` shows `node_ids`) into `persistent_peers` "
        "in `hansa.toml`, or remove the line of one that left, and restart."
    )
    return [look("engines' ids", f"no member has the engine {unknown}", todo)]


async def shared_addresses(peers: Sequence[str], resolve: Resolve = _resolved) -> tuple[str, ...]:
    """The addresses at which more than one engine is.

    Args:
        peers: The engines, as `<node id>@host:port`. One whose host cannot be resolved has no address.
        resolve: Gives the addresses of a host.
    """
    hosts = [peer.rpartition("@")[2].rpartition(":")[0].strip("[]") for peer in peers[:MEMBERS_CHECKED_MAX]]
    resolved = await asyncio.gather(*(_addresses(host, resolve) for host in hosts))
    counts = Counter(address for addresses in resolved for address in addresses)
    return tuple(sorted(str(address) for address, count in counts.items() if count > 1))


async def _check_engine(peer: str, others: Sequence[Member]) -> CheckResult:
    node_id, _, address = peer.rpartition("@")
    host, _, port = address.rpartition(":")
    shown = printable(address, 100)
    owner = next((one.name for one in others if node_id in one.node_ids), None)
    check = f"engine of {printable(owner, 24)}" if owner is not None else f"engine {shown}"
    try:
        async with asyncio.timeout(TIMEOUT_S):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        writer.close()
    except (OSError, TimeoutError, ValueError):
        remedy = "Is that member running? Does a firewall stand between?"
        return look(check, f"{shown} is not reachable", remedy)
    return ok(check, f"{shown} is reachable")


async def _check_clock(settings: Settings, others: Sequence[Member], clock: Clock) -> CheckResult:
    async def is_allowed(_: str) -> bool:
        return True

    http = OutboundClient(is_allowed, allow_private_networks=True)
    try:
        ahead_s = await check_clock_by_members(http, others, clock, settings.limits)
    except HansaError as error:
        return wrong("clock", error.message, "Set the clock; start NTP or the like.")
    finally:
        await http.close()
    if ahead_s is None:
        if not others:
            return ok("clock", "nobody to compare with")
        return look("clock", "no other member reports its time", "Check that NTP or the like runs.")
    return ok("clock", f"within {abs(ahead_s):.1f} s of the other members")


async def check_certificates(settings: Settings, others: Sequence[Member], clock: Clock) -> list[CheckResult]:
    """Whether the certificates of the members' endpoints are valid, and will be for a while."""
    secure = [member for member in others if member.endpoint.startswith("https://")][:MEMBERS_CHECKED_MAX]
    endpoints = [member.endpoint for member in secure]
    results = []
    if settings.endpoint.startswith("https://"):
        endpoints.insert(0, settings.endpoint)
    elif not settings.single_machine:
        todo = "Put a reverse proxy with TLS before it and register that; see docs/operators/install.md."
        results.append(look("certificate", f"{settings.endpoint} is not encrypted", todo))
    return [*results, *await asyncio.gather(*(check_certificate(endpoint, clock) for endpoint in endpoints))]


async def check_certificate(
    endpoint: str, clock: Clock, context: ssl.SSLContext | None = None
) -> CheckResult:
    """The certificate of one endpoint; `context`: the trusted authorities, by default those of the system."""
    parts = urlsplit(endpoint)
    check = f"certificate of {parts.netloc}"
    try:
        async with asyncio.timeout(TIMEOUT_S):
            _, writer = await asyncio.open_connection(
                parts.hostname, parts.port or 443, ssl=context or ssl.create_default_context()
            )
    except ssl.SSLCertVerificationError as error:
        return wrong(
            check, f"is invalid: {printable(error.verify_message)}", "Renew it, or complete its chain."
        )
    except (OSError, TimeoutError):
        return look(check, "the endpoint is not reachable", "Ask its operator.")
    try:
        encoded = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.close()
    return check_expiry(check, x509.load_der_x509_certificate(encoded).not_valid_after_utc, clock.now())


def check_expiry(check: str, expires: datetime, now: datetime) -> CheckResult:
    """How long a certificate is still valid."""
    days = (expires.astimezone(UTC) - now).days
    if days < 0:
        return wrong(check, f"expired on {expires:%Y-%m-%d}", "Renew it.")
    if days < CERTIFICATE_RENEW_DAYS:
        return look(check, f"expires on {expires:%Y-%m-%d}, in {days} days", "Renew it; automate that.")
    return ok(check, f"valid until {expires:%Y-%m-%d}")
