"""What members report of their league, and whether they report the same.

Whoever joins has to trust somebody once. It asks several members, found through the first ones: all of them
must have the same genesis, byte for byte, and more than half of those that answer, two at least where there
are two, the same header at a height that all of them have. The operator then compares fingerprints by other
means; from there on everything is verified.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec

from hansa.api.newcomers.bootstrap import BOOTSTRAP_PATH, GENESIS_PATH, Bootstrap
from hansa.core.bounded_json import UNREADABLE
from hansa.core.clock import Clock, rfc3339
from hansa.core.errors import Code, Fatal, HansaError, Refused, Unavailable
from hansa.core.http import HttpClient, HttpRequest
from hansa.core.members import Member, normal_endpoint
from hansa.node.folder import GENESIS, GenesisDocument, read_genesis
from hansa.node.joining.mark import TRUST_PERIOD_S
from hansa.pubsub.light.chain.header import Header
from hansa.pubsub.light.chain.rpc_form import read_commit

ANSWER_TIMEOUT_S: Final = 10.0
GENESIS_SIZE_MAX_BYTES: Final = 8_388_608
ANSWER_SIZE_MAX_BYTES: Final = 8_388_608
MEMBERS_QUERIED_MAX: Final = 16
BLOCKS_BEHIND: Final = 1
"""How far the trusted height is behind the lowest that a member reports, which may still be on its way."""
FOUNDING_TIMEOUT_S: Final = 15.0
"""How long a league that was just founded may take for its second block, which commits the first."""
FOUNDING_POLL_S: Final = 0.5

_NS_PER_S: Final = 1_000_000_000

T = TypeVar("T")


class MemberReport(msgspec.Struct, frozen=True):
    """What one member reports."""

    endpoint: str
    bootstrap: Bootstrap
    height: int


class LeagueReport(msgspec.Struct, frozen=True):
    """What the members report together."""

    genesis: bytes
    document: GenesisDocument
    members: tuple[Member, ...]
    """The registry, as the first member that was asked reports it."""
    reports: tuple[MemberReport, ...]
    """Of the members that answered, those that were named first."""
    trusted_height: int
    trusted_hash: str
    """Of the header at that height; hex, upper case."""
    confirmed_by: tuple[str, ...]
    """Endpoints of the members that have this header."""
    contradicted_by: tuple[str, ...]
    """Endpoints of the members that have another one."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the genesis, hex."""
        return hashlib.sha256(self.genesis).hexdigest()

    @property
    def peers(self) -> tuple[str, ...]:
        """`<node id>@host:port` of the members' engines."""
        return tuple(sorted({one.bootstrap.engine for one in self.reports if one.bootstrap.engine}))


async def inquire(http: HttpClient, urls: Sequence[str], clock: Clock) -> LeagueReport:
    """What the members at some addresses, and those that they name, report of their league.

    Raises:
        Unavailable: Nobody answers; or their last block is older than the trust period.
        Refused: `Code.CONFLICT`, when members contradict each other.
        Fatal: `Code.SETTINGS_INVALID`, `Code.RULES_DIFFER`: the genesis cannot be used by this release.
    """
    named = [normal_endpoint(url) for url in urls]
    members = await _first(_members_at(http, endpoint) for endpoint in named)
    active = [member.endpoint for member in members if member.status == "active"]
    endpoints = list(dict.fromkeys((*named, *active)))[:MEMBERS_QUERIED_MAX]
    genesis = await _same_genesis(http, endpoints, named)
    document = read_genesis(genesis, GENESIS)
    digest = hashlib.sha256(genesis).hexdigest()
    answers = await asyncio.gather(*(_report_of(http, one) for one in endpoints), return_exceptions=True)
    reports = [one for one in answers if isinstance(one, MemberReport) and one.bootstrap.genesis == digest]
    if not reports:
        raise Unavailable(Code.UNAVAILABLE, "No member reports how far its ledger is.")
    height = max(1, sorted(one.height for one in reports)[(len(reports) - 1) // 3] - BLOCKS_BEHIND)
    confirmed, contradicted, header = await _header_at(
        http, height, document.chain_id, [one.endpoint for one in reports], clock
    )
    made_at = datetime.fromtimestamp(header.time_ns // _NS_PER_S, UTC)
    if clock.now() - made_at > timedelta(seconds=TRUST_PERIOD_S):
        raise Unavailable(
            Code.UNAVAILABLE,
            f"The league has made no block since {rfc3339(made_at)}, and nothing can be verified from one that old. Once its "
            "engines run again, there is a block at the next heartbeat; repeat the command then.",
        )
    return LeagueReport(
        *(genesis, document, tuple(members), tuple(reports), height, header.hash.hex().upper()),
        *(confirmed, contradicted),
    )


async def members_of(http: HttpClient, urls: Sequence[str]) -> tuple[Member, ...]:
    """The registry, by the first of some members that answers.

    Raises:
        Unavailable: Nobody answers.
    """
    return tuple(await _first(_members_at(http, url) for url in urls))


async def _same_genesis(http: HttpClient, endpoints: Sequence[str], named: Sequence[str]) -> bytes:
    answers = await asyncio.gather(
        *(_get(http, f"{one}{GENESIS_PATH}", GENESIS_SIZE_MAX_BYTES) for one in endpoints),
        return_exceptions=True,
    )
    contents = {
        endpoint: answer
        for endpoint, answer in zip(endpoints, answers, strict=True)
        if isinstance(answer, bytes)
    }
    first = next((contents[one] for one in named if one in contents), None)
    if first is None:
        raise Unavailable(Code.UNAVAILABLE, "None of the members that were named gives the genesis.")
    others = sorted(endpoint for endpoint, content in contents.items() if content != first)
    if others:
        raise Refused(
            Code.CONFLICT,
            f"Another genesis than that of {named[0]} has: {', '.join(others)}. One of them is not of this league, or "
            "lies. Ask their operators for the fingerprint of the genesis before you join.",
        )
    return first


async def _header_at(
    http: HttpClient, height: int, chain_id: str, endpoints: Sequence[str], clock: Clock
) -> tuple[tuple[str, ...], tuple[str, ...], Header]:
    """Who has the header that most have, who has another, and the header."""
    headers = await _headers_at(http, height, chain_id, endpoints)
    ends = clock.monotonic() + FOUNDING_TIMEOUT_S
    while len(headers) < len(endpoints) and height == 1 and clock.monotonic() < ends:
        await clock.sleep(FOUNDING_POLL_S)
        headers = await _headers_at(http, height, chain_id, endpoints)
    hashes = {endpoint: header.hash for endpoint, header in headers.items()}
    if not hashes:
        raise Unavailable(
            Code.UNAVAILABLE,
            f"No member gives the header of block {height}. A league that was just founded has it after its second block; "
            "repeat the command then.",
        )
    ((most, count),) = Counter(hashes.values()).most_common(1)
    confirmed = tuple(endpoint for endpoint, one in hashes.items() if one == most)
    contradicted = tuple(endpoint for endpoint, one in hashes.items() if one != most)
    if 2 * count <= len(hashes):
        raise Refused(
            Code.CONFLICT,
            f"The members have different blocks at height {height}: {', '.join(sorted(hashes))}. Do not join; ask their "
            "operators what happened.",
        )
    return confirmed, contradicted, headers[confirmed[0]]


async def _headers_at(
    http: HttpClient, height: int, chain_id: str, endpoints: Sequence[str]
) -> dict[str, Header]:
    """The header of a height, by endpoint of each member that gives it."""
    answers = await asyncio.gather(
        *(_signed_at(http, one, height, chain_id) for one in endpoints), return_exceptions=True
    )
    return {
        endpoint: answer
        for endpoint, answer in zip(endpoints, answers, strict=True)
        if isinstance(answer, Header)
    }


async def _signed_at(http: HttpClient, endpoint: str, height: int, chain_id: str) -> Header:
    result = await _light(http, endpoint, f"commit?height={height}")
    header, _, _ = read_commit(msgspec.json.encode(result))
    if (header.height, header.chain_id) != (height, chain_id):
        raise Refused(Code.MALFORMED, "The header is not that of the block.")
    return header


async def bootstrap_of(http: HttpClient, endpoint: str) -> Bootstrap:
    """What a member reports of itself.

    Raises:
        Unavailable, Refused: It does not answer, or in another form.
    """
    raw = await _get(http, f"{endpoint}{BOOTSTRAP_PATH}", ANSWER_SIZE_MAX_BYTES)
    return _decoded(raw, Bootstrap)


async def _report_of(http: HttpClient, endpoint: str) -> MemberReport:
    bootstrap = await bootstrap_of(http, endpoint)
    status = await _light(http, endpoint, "status")
    try:
        height = int(status["sync_info"]["latest_block_height"])
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(Code.MALFORMED, "The status has another form.") from error
    return MemberReport(endpoint, bootstrap, height)


async def _light(http: HttpClient, endpoint: str, call: str) -> Any:
    raw = await _get(http, f"{endpoint}/league/v1/light/{call}", ANSWER_SIZE_MAX_BYTES)
    result = _decoded(raw, dict[str, Any]).get("result")
    if result is None:
        raise Unavailable(Code.UNAVAILABLE, f"{endpoint} does not answer {call}.")
    return result


async def _members_at(http: HttpClient, endpoint: str) -> Sequence[Member]:
    raw = await _get(http, f"{endpoint}/league/v1/members", ANSWER_SIZE_MAX_BYTES)
    return _decoded(raw, tuple[Member, ...])


async def _get(http: HttpClient, url: str, size_max_bytes: int) -> bytes:
    request = HttpRequest("GET", url, timeout_s=ANSWER_TIMEOUT_S, answer_size_max_bytes=size_max_bytes)
    try:
        answer = await http.send(request)
    except Unavailable as error:
        raise Unavailable(Code.UNAVAILABLE, f"{url}: {error.message}") from error
    if answer.status != 200:
        raise Unavailable(Code.UNAVAILABLE, f"{url} answers {answer.status}.")
    return answer.body


def _decoded(raw: bytes, form: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=form)
    except UNREADABLE as error:
        raise Refused(Code.MALFORMED, "The answer has another form.") from error


async def _first(attempts: Any) -> Any:
    """The first result in order; the last error when there is none."""
    failure: HansaError = Unavailable(Code.UNAVAILABLE, "Name a member: --from URL.")
    for attempt in attempts:
        try:
            return await attempt
        except (Refused, Unavailable, Fatal) as error:
            failure = error
    raise failure
