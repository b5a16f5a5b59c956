"""`hansa init`, `found`, `serve` and `token`: what is done to a marketplace's folder."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from hansa.cli.durations import duration_text, seconds_of
from hansa.cli.output import Output
from hansa.core.clock import Clock
from hansa.core.errors import Code, Fatal, Refused
from hansa.core.identifiers import Entropy
from hansa.node import folder as folders


class InitOptions(msgspec.Struct, frozen=True):
    """What the command line says of a new marketplace."""

    name: str
    endpoint: str
    did: str | None
    p2p_host: str
    p2p_port: int | None
    listen_host: str | None
    listen_port: int | None


def run_init(folder: Path, options: InitOptions, output: Output, clock: Clock) -> None:
    """Make a folder.

    Raises:
        HansaError: when it cannot be made.
    """
    for name in ("p2p_port", "listen_port"):
        port = getattr(options, name)
        if port is not None and not 0 < port < 65_536:
            raise Refused(Code.INVALID, f"--{name.replace('_', '-')} must be a port, 1 to 65535.")
    card = folders.init_member(
        folder,
        options.name,
        options.endpoint,
        clock,
        did=options.did,
        p2p_host=options.p2p_host,
        p2p_port=options.p2p_port,
        listen_host=options.listen_host,
        listen_port=options.listen_port,
    )
    if output.as_json:
        output.document(card)
        return
    output.facts(
        {
            "folder": str(folder),
            "name": card.member.name,
            "DID": card.member.did,
            "endpoint": card.member.endpoint,
            "engine": card.p2p_address,
            "card": str(folder / folders.CARD),
        }
    )
    output.message(
        f"Send {folder / folders.CARD} to the other members and found the league with `hansa found`, "
        f"or start a league of one: hansa serve {folder}"
    )


def run_found(
    cards: Sequence[Path], into: Sequence[Path], genesis_file: Path | None, output: Output, clock: Clock
) -> None:
    """Make a league's genesis, or take the one given, and put it into folders; without one, write it out.

    Raises:
        HansaError: when the cards do not make a league.
    """
    read = [folders.read_card(path) for path in cards]
    if genesis_file is not None:
        genesis = _read(genesis_file)
        named = {member.did for member in folders.read_genesis(genesis, genesis_file).app_state.members}
        absent = next((card.member.name for card in read if card.member.did not in named), None)
        if absent is not None:
            raise Refused(Code.INVALID, f"{genesis_file} does not name {absent}, whose card was given.")
    else:
        genesis = folders.found_league(read, folders.chain_id_of(read), clock.now())
    if not into and genesis_file is None:
        output.data(genesis.decode().rstrip("\n"))
        return
    for folder in into:
        folders.install_genesis(folder, genesis, [card.p2p_address for card in read])
    document = folders.read_genesis(genesis, genesis_file or Path("genesis"))
    names = [member.name for member in document.app_state.members]
    if output.as_json:
        output.document(
            {"chain_id": document.chain_id, "members": names, "into": [str(path) for path in into]}
        )
        return
    output.facts(
        {
            "league": document.chain_id,
            "members": ", ".join(names),
            "put into": ", ".join(map(str, into)) or "nothing",
        }
    )
    if genesis_file is None:
        output.message(f"Send {into[0] / folders.GENESIS} to the other members: all need the same one.")


def run_serve(folder: Path, environment: Mapping[str, str], *, as_json: bool) -> None:
    """Run a marketplace until it is told to stop.

    Raises:
        Fatal: when it must not or cannot start.
    """
    from hansa.node.serve import serve

    serve(folder, {**environment, "HANSA_LOG_FORMAT": "json"} if as_json else environment)


def run_token(
    folder: Path,
    subject: str,
    roles: Sequence[str],
    expires: str,
    output: Output,
    clock: Clock,
    entropy: Entropy,
) -> None:
    """Write a bearer token.

    Raises:
        HansaError: when the folder or an option is not usable.
    """
    expires_in_s = seconds_of(expires)
    made = folders.issue_folder_token(folder, subject, roles, expires_in_s, clock, entropy)
    if output.as_json:
        output.document(
            {"token": made, "subject": subject, "roles": sorted(set(roles)), "expires_in_s": expires_in_s}
        )
        return
    output.data(made)
    if sys.stdout.isatty():
        output.message(f"Good for {duration_text(expires_in_s)}. Keep it to yourself.")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Fatal(Code.SETTINGS_INVALID, f"{path} cannot be read: {error.strerror}.") from error
