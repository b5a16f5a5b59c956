"""The folder of a newcomer: its keys, the league's genesis, the engines to connect to, and its candidacy."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from hansa.core.clock import Clock, epoch_s, rfc3339
from hansa.core.errors import Code, Refused
from hansa.core.files import write_file
from hansa.core.members import Member
from hansa.node.folder import CARD, GENESIS, GenesisDocument, MemberCard, init_member
from hansa.node.folder.genesis import set_peers
from hansa.node.joining.candidacy import candidacy_of
from hansa.node.joining.inquiry import LeagueReport
from hansa.node.joining.mark import Joining, write_joining
from hansa.node.settings.loading import FILE_NAME
from hansa.node.settings.setting import Value
from hansa.pubsub.ledger.rules.governance.founding import league_of_genesis
from hansa.pubsub.light.chain.rpc_form import time_ns_of
from hansa.pubsub.light_member.following import FOLLOWED_MAX

CANDIDACY_FILE: Final = Path("candidacy.jws")
"""What a newcomer sends to a member, who proposes it."""
_NS_PER_MS: Final = 1_000_000


class Newcomer(msgspec.Struct, frozen=True):
    """A folder that is ready to join."""

    card: MemberCard
    candidacy: Path


def league_of(document: GenesisDocument) -> str:
    """The identifier of the league of a genesis, which governance is signed for."""
    powers = {one.public_key.hex(): one.power for one in document.validators}
    time_ms = time_ns_of(document.genesis_time) // _NS_PER_MS
    return league_of_genesis(document.app_state, time_ms, powers)


def join_league(
    folder: Path,
    report: LeagueReport,
    name: str,
    endpoint: str,
    clock: Clock,
    *,
    is_observer: bool = False,
    is_light: bool = False,
    did: str | None = None,
    country: str = "",
    p2p_host: str = "127.0.0.1",
    p2p_port: int | None = None,
    listen_host: str | None = None,
    listen_port: int | None = None,
    further_settings: dict[str, Value] | None = None,
) -> Newcomer:
    """Make the folder of a newcomer. See `init_member` for what is not explained here.

    Args:
        folder: Does not exist yet, or is empty.
        report: What the members report of their league.
        name: For people.
        endpoint: Where others reach it.
        clock: For times.
        is_observer: Whether it runs no validator.
        is_light: Whether it runs no engine either, and follows members.
        did: As for `init_member`; so are the following.
        country: Where it is.
        p2p_host: Where the engine listens.
        p2p_port: By default a free one.
        listen_host: Where HTTP is served, when it is not the default.
        listen_port: When it is not the endpoint's.
        further_settings: More keys for `hansa.toml`.

    Raises:
        Refused: `Code.INVALID`; `Code.CONFLICT`, when the league has a member of that endpoint, or no engine
        to
            connect to.
        Fatal: `Code.SETTINGS_INVALID`, `Code.DISK_FULL`.
    """
    if not report.peers and not is_light:
        raise Refused(Code.CONFLICT, "None of the members says where its engine is; nothing was done.")
    card = init_member(
        *(folder, name, endpoint, clock),
        did=did,
        country=country,
        p2p_host=p2p_host,
        p2p_port=p2p_port,
        listen_host=listen_host,
        listen_port=listen_port,
        further_settings={**(further_settings or {}), **(light_settings(report) if is_light else {})},
    )
    card = msgspec.structs.replace(
        card, member=_as_candidate(card.member, is_observer=is_observer, is_light=is_light)
    )
    write_file(folder / CARD, msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n")
    write_file(folder / GENESIS, report.genesis)
    if not is_light:
        set_peers(folder / FILE_NAME, report.peers)
    endpoints = dict.fromkeys((*report.confirmed_by, *(one.endpoint for one in report.reports)))
    joining = Joining(
        *(rfc3339(clock.now()), tuple(endpoints), report.trusted_height, report.trusted_hash),
        is_observer=is_observer or is_light,
    )
    write_joining(folder, joining)
    candidacy = candidacy_of(folder, card, league_of(report.document), epoch_s(clock))
    write_file(folder / CANDIDACY_FILE, candidacy.encode("ascii") + b"\n")
    return Newcomer(card, folder / CANDIDACY_FILE)


def light_settings(report: LeagueReport) -> dict[str, Value]:
    """What makes a newcomer a light member: whom it follows is for its settings to change later."""
    named = dict.fromkeys((*report.confirmed_by, *(one.endpoint for one in report.reports)))
    followed = [endpoint for endpoint in named if endpoint not in report.contradicted_by]
    return {"bus": "light", "followed_members": tuple(followed[:FOLLOWED_MAX])}


def _as_candidate(member: Member, *, is_observer: bool, is_light: bool) -> Member:
    """What it says about itself: power is for the league to give."""
    validator_key = "" if is_observer or is_light else member.validator_key
    node_ids = () if is_light else member.node_ids
    return msgspec.structs.replace(member, power=0, validator_key=validator_key, node_ids=node_ids)
