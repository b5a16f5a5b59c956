"""The folders of a league on this machine, for the demo and for tests of real processes.

    <folder>/league.json   what the league was made with
    <folder>/<name>/       one marketplace each
    <folder>/wallet/       wallets of people, of a league with identities

With identities, the first member issues credentials for development, all of them trust it, and each has the
page of the development wallet.

All of it is made beside the folder and renamed at the end, so that an interrupted first start leaves nothing
that looks like a league.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from hansa.core.access import OPERATOR
from hansa.core.bounded_json import UNREADABLE
from hansa.core.clock import Clock
from hansa.core.errors import Code, Fatal, Refused
from hansa.core.files import read_file, write_file
from hansa.core.identifiers import Entropy
from hansa.identity.issuing import AUTHORITY_CERTIFICATE, DevelopmentAuthority
from hansa.node.folder import (
    ANCHORS,
    ISSUING,
    chain_id_of,
    init_member,
    install_genesis,
    issue_folder_token,
    league_genesis,
    unused_ports,
    write_token,
)
from hansa.node.settings.setting import Value

NAMES: Final = ("lubeck", "bergen", "riga", "bruges")
MEMBERS_MAX: Final = 32
HOST: Final = "127.0.0.1"
P2P_PORTS_ABOVE: Final = 1000
"""The search for the engines' ports begins this far above the base port."""
LEAGUE: Final = "league.json"
OPERATOR_ORGANIZATION: Final = "VATDE-987654321"
"""Whose employees operate the members."""
WALLETS: Final = "wallet"
"""Folder of the wallets, in that of the league."""
TOKEN_EXPIRES_IN_S: Final = 30 * 86_400.0
"""The tokens of a demo are in its folders, beside the keys that sign them."""


class DemoLeague(msgspec.Struct, frozen=True):
    """What the folder's league was made with."""

    members: int
    base_port: int


def member_name(number: int) -> str:
    """Name of member `number`, counted from 1."""
    return NAMES[number - 1] if number <= len(NAMES) else f"member-{number}"


def create_or_resume_league(
    folder: Path,
    members: int,
    base_port: int,
    clock: Clock,
    entropy: Entropy,
    further_settings: dict[str, Value] | None = None,
    *,
    has_identities: bool = False,
) -> list[Path]:
    """The folders of a league's members, made when there is no league in `folder` yet.

    Member k serves on port `base_port` + k. The engines' ports are free ones, chosen once. Each folder
    has a bearer token of an operator in `token`, a new one whenever the league is resumed.

    Raises:
        Refused: `Code.INVALID` (numbers out of range), `Code.CONFLICT` (the folder holds something else, or a
            league that was made with other numbers).
        Fatal: when something cannot be written.
    """
    if not 1 <= members <= MEMBERS_MAX:
        raise Refused(Code.INVALID, f"A league on one machine has 1 to {MEMBERS_MAX} members.")
    if not 1024 <= base_port <= 65_535 - members:
        raise Refused(Code.INVALID, f"The base port must be between 1024 and {65_535 - members}.")
    requested = DemoLeague(members, base_port)
    folders = [folder / member_name(number) for number in range(1, members + 1)]
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        _check_same(folder, requested)
        _write_tokens(folders, clock, entropy)
        return folders
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(mode=0o700, parents=True)
        _create(partial, requested, clock, entropy, further_settings or {}, has_identities=has_identities)
        partial.replace(folder)
    except OSError as error:
        raise Fatal(Code.SETTINGS_INVALID, f"{folder} cannot be made: {error.strerror}.") from error
    return folders


def _check_same(folder: Path, requested: DemoLeague) -> None:
    try:
        existing = msgspec.json.decode((folder / LEAGUE).read_bytes(), type=DemoLeague)
    except (OSError, *UNREADABLE) as error:
        raise Refused(
            Code.CONFLICT, f"{folder} is not empty and holds no league. Choose another folder with --dir."
        ) from error
    if existing != requested:
        raise Refused(
            Code.CONFLICT,
            f"The league in {folder} has {existing.members} members from base port {existing.base_port}. Resume it with "
            f"--members {existing.members} --base-port {existing.base_port}, or choose another folder with --dir.",
        )


def _create(
    folder: Path,
    league: DemoLeague,
    clock: Clock,
    entropy: Entropy,
    further: dict[str, Value],
    *,
    has_identities: bool,
) -> None:
    ports = unused_ports(min(league.base_port + P2P_PORTS_ABOVE, 65_000), league.members, HOST)
    folders = [folder / member_name(number) for number in range(1, league.members + 1)]
    endpoints = [f"http://{HOST}:{league.base_port + number}" for number in range(1, league.members + 1)]
    cards = [
        init_member(
            each,
            each.name,
            endpoints[number - 1],
            clock,
            p2p_host=HOST,
            p2p_port=ports[number - 1],
            further_settings={
                "single_machine": True,
                "allow_private_networks": True,
                **(
                    _identity_settings(endpoints[number - 1], is_issuer=number == 1) if has_identities else {}
                ),
                **further,
            },
        )
        for number, each in enumerate(folders, 1)
    ]
    genesis = league_genesis(cards, chain_id_of(cards), clock.now())
    for each in folders:
        install_genesis(each, genesis, [card.p2p_address for card in cards])
    if has_identities:
        _make_anchors(folders, clock, entropy)
    _write_tokens(folders, clock, entropy)
    write_file(folder / LEAGUE, msgspec.json.encode(league) + b"\n")


def _identity_settings(endpoint: str, *, is_issuer: bool) -> dict[str, Value]:
    """Settings by which people of the demo log in at a member."""
    return {
        **({"issuing": True} if is_issuer else {}),
        "wallet": f"../{WALLETS}",
        "web_wallets": (f"{endpoint}/wallet",),
        "credential_trust": "anchors",
        "onboarding_terms": "demo-1",
        "operator_organizations": (OPERATOR_ORGANIZATION,),
    }


def _make_anchors(folders: Sequence[Path], clock: Clock, entropy: Entropy) -> None:
    """Make the authority of the first member, and have all members trust it."""
    issuer = folders[0]
    DevelopmentAuthority(issuer / ISSUING, issuer.name, clock, entropy).certificate()
    certificate = read_file(issuer / ISSUING / AUTHORITY_CERTIFICATE)
    for each in folders:
        (each / ANCHORS).mkdir(mode=0o700)
        write_file(each / ANCHORS / f"{issuer.name}.pem", certificate)


def _write_tokens(folders: Sequence[Path], clock: Clock, entropy: Entropy) -> None:
    """Give each member's operator a token that is valid from now on."""
    for each in folders:
        token = issue_folder_token(each, "demo", [OPERATOR], TOKEN_EXPIRES_IN_S, clock, entropy)
        write_token(each, token)
