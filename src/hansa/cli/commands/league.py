"""`hansa found`: a league from its members' cards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hansa.cli.commands import command
from hansa.cli.options import AsJson
from hansa.core.errors import Code, Refused

if TYPE_CHECKING:
    from hansa.cli.output import Output
    from hansa.node.folder import GenesisDocument, MemberCard


@command(
    "Found a league from its members' cards.",
    "hansa found lubeck.json bergen.json riga.json bruges.json --into market",
    name="found",
)
def found_league(
    cards: Annotated[
        list[Path], typer.Argument(metavar="CARD…", help="`member.json` of every member, this one's too.")
    ],
    into: Annotated[
        list[Path] | None,
        typer.Option(
            "--into", metavar="D", help="Put the genesis into this marketplace's folder; may be repeated."
        ),
    ] = None,
    genesis: Annotated[
        Path | None,
        typer.Option("--genesis", metavar="FILE", help="Use this genesis, made by another member."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Found a league from its members' cards.

    One member runs this, with --into or with its output in a file, and sends the genesis to the others; each
    of them puts the same genesis into its folder, with --genesis FILE --into D, before its first start.
    """
    from hansa.cli.local import CLOCK
    from hansa.cli.output import Output
    from hansa.node import folder

    output, folders = Output(as_json=as_json), into or []
    members = [folder.read_card(path) for path in cards]
    if genesis is None:
        encoded = folder.league_genesis(members, folder.chain_id_of(members), CLOCK.now())
    else:
        encoded = _genesis_of(genesis, members)
    if genesis is None and not folders:
        output.data(encoded.decode().rstrip("\n"))
        return
    for path in folders:
        folder.install_genesis(path, encoded, [card.p2p_address for card in members])
    _show_league(folder.read_genesis(encoded, genesis or Path("genesis")), folders, output)
    if genesis is None and not as_json:
        output.message(f"Send {folders[0] / folder.GENESIS} to the other members: all need the same one.")
    for path in folders:
        _warn_of_private_network(path, members, output)
        _warn_of_shared_addresses(path, output)


def _warn_of_private_network(folder: Path, cards: Sequence[MemberCard], output: Output) -> None:
    """Say which setting a league on a private network needs, as soon as that can be known."""
    import asyncio

    from hansa.cli.doctor.network import private_addresses
    from hansa.node.folder import CARD, read_card
    from hansa.node.settings.loading import FILE_NAME, load_settings

    if load_settings(folder, {}).allow_private_networks:
        return
    own = read_card(folder / CARD).member.did
    others = [card.member for card in cards if card.member.did != own]
    private = [member.name for member in others if asyncio.run(private_addresses(member.endpoint))]
    if private:
        output.message(
            f"{', '.join(private)}: at an address of a private network, to which {folder} sends nothing, so their "
            f"entities would never come. For a league on a private network put into {folder / FILE_NAME}: "
            "allow_private_networks = true"
        )


def _warn_of_shared_addresses(folder: Path, output: Output) -> None:
    """Say which setting members on one machine need, as soon as that can be known."""
    import asyncio

    from hansa.cli.doctor.network import check_shared_addresses
    from hansa.node.settings.loading import FILE_NAME, load_settings

    for one in asyncio.run(check_shared_addresses(load_settings(folder, {}))):
        output.message(f"{folder / FILE_NAME}: {one.result}. {one.todo}")


def _genesis_of(path: Path, cards: Sequence[MemberCard]) -> bytes:
    """The genesis that another member made.

    Raises:
        HansaError: when it cannot be read, lacks the member of a card, or names one whose card was not given.
    """
    from hansa.core.files import read_file
    from hansa.node.folder import read_genesis

    genesis = read_file(path, "Ask the member that made it for it.")
    members = {member.did: member.name for member in read_genesis(genesis, path).app_state.members}
    absent = next((card.member.name for card in cards if card.member.did not in members), None)
    if absent is not None:
        raise Refused(Code.INVALID, f"{path} does not name {absent}, whose card was given.")
    dids = {card.member.did for card in cards}
    lacking = ", ".join(name for did, name in members.items() if did not in dids)
    if lacking:
        raise Refused(
            Code.INVALID,
            f"{path} names {lacking} too, whose card was not given: the addresses of all engines are in the cards. "
            "Give the cards of all members. Nothing was done.",
        )
    return genesis


def _show_league(document: GenesisDocument, into: Sequence[Path], output: Output) -> None:
    members = [member.name for member in document.app_state.members]
    folders = [str(folder) for folder in into]
    if output.as_json:
        output.document({"chain_id": document.chain_id, "members": members, "into": folders})
    else:
        output.facts(
            {
                "league": document.chain_id,
                "members": ", ".join(members),
                "put into": ", ".join(folders) or "nothing",
            }
        )
