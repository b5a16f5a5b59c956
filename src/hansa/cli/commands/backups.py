"""`hansa backup` and `hansa restore`: a marketplace's folder as one file, and back; and from the league."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hansa.cli.commands import command
from hansa.cli.options import DEFAULT_URL, AsJson, Token, Yes, confirm
from hansa.core.errors import Code, Refused

if TYPE_CHECKING:
    from hansa.cli.output import Output
    from hansa.node.backup import Manifest

SIGN_NOW_RISK = """\
The validator of the restored marketplace will sign at once. If the original, or another copy of it, has signed
anything since this backup was made, or still runs, the two contradict each other. That is proof of
misbehaviour, and the league takes the validator's voting power away for good.
Right only when the league cannot make a block without this validator, and every other copy is gone for good.
"""


@command("Back up a marketplace into one file, or check a backup.", "hansa backup market market.backup")
def backup(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[D]", help="The marketplace's folder; not with --verify.")
    ] = None,
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="The backup to write.")] = None,
    verify: Annotated[
        Path | None,
        typer.Option("--verify", metavar="FILE", help="Check this backup instead, and show what it is of."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE when it exists.")] = False,
    ledger: Annotated[
        bool | None,
        typer.Option(
            "--with-ledger/--without-ledger",
            help="Whether the ledger's state and blocks are part of it; needs the marketplace to be stopped. "
            "[default: in a league of one member]",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Back up a marketplace into one file, while it runs or not.

    In it: the store, settings, genesis, card, tokens, schemas, jobs, and all keys, those of the engine too.
    Not in it: locks, sockets, logs; and the ledger, which the other members have, unless --with-ledger. The
    file is for its owner alone, and whole or not there. Whoever has it has every key: encrypt it before it
    travels.
    """
    from hansa.cli.local import CLOCK
    from hansa.cli.output import Output
    from hansa.cli.progress import ItemProgress
    from hansa.node.backup import verify_backup, write_backup

    output = Output(as_json=as_json)
    if (verify is None) == (folder is None) or (verify is None) != (file is not None):
        raise Refused(Code.INVALID, "Give D and FILE to make a backup, or --verify FILE to check one.")
    with ItemProgress("bytes", None, output) as progress:
        if verify is not None:
            manifest = verify_backup(verify, progress.advance)
        else:
            assert folder is not None, "it was checked above"
            assert file is not None, "it was checked above"
            manifest = write_backup(
                folder, file, CLOCK, has_ledger=ledger, is_replaced=force, progress=progress.advance
            )
    shown = verify or file
    assert shown is not None, "one of them was given"
    _show(manifest, shown, output)
    if verify is None:
        output.message(
            f"{shown} holds every key of the marketplace: keep it secret, encrypt it, and store it elsewhere."
        )


@command(
    "Make a marketplace's folder from a backup, or take lost entities from the league.",
    "hansa restore market.backup market",
)
def restore(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE]",
            help="The backup. With --from-league and no D: the address of the marketplace. "
            f"[default: {DEFAULT_URL}]",
            show_default=False,
        ),
    ] = None,
    folder: Annotated[
        Path | None, typer.Argument(metavar="[D]", help="The folder to make; absent, or empty.")
    ] = None,
    from_league: Annotated[
        bool,
        typer.Option(
            "--from-league",
            help="Take what a running marketplace has lost of its own from the other members. "
            "With D: let the restored marketplace take newer versions than those of the backup from them.",
        ),
    ] = False,
    withdraw_missing: Annotated[
        bool,
        typer.Option(
            "--withdraw-missing",
            help="With --from-league: withdraw what nobody has, so that older versions leave the others.",
        ),
    ] = False,
    sign_now: Annotated[
        bool,
        typer.Option("--sign-now", help="Let its validator sign at once; the risk is explained first."),
    ] = False,
    yes: Yes = False,
    token: Token = None,
    as_json: AsJson = False,
) -> int:
    """Make a marketplace's folder from a backup. The whole backup is checked before anything is written.

    Its validator then observes: it follows the ledger and signs nothing, until the ledger shows that it
    cannot contradict what it signed after the backup was made. Stop the original for good before you start
    it. What is in the backup is announced as the newest version then, unless --from-league says otherwise.

    With --from-league and without D, a running marketplace whose store was lost takes its own public
    entities back from the other members: verified by the hashes on the ledger, as much at a time as they
    send, with progress. It may be interrupted and repeated; what is here is left alone. What nobody has is
    listed (exit status 1). Drafts and whatever else is private are on no other member. Needs the operator's
    token.
    """
    from hansa.cli.catalogue.restoring import run_restore
    from hansa.cli.local import CLOCK
    from hansa.cli.output import Output

    output = Output(as_json=as_json)
    if folder is not None and source is not None and not withdraw_missing:
        _restore_backup(Path(source), folder, output, sign_now=sign_now, yes=yes, from_league=from_league)
        return 0
    if not from_league or folder is not None or sign_now:
        raise Refused(
            Code.INVALID,
            "Give FILE and D to restore a backup, or --from-league and the address of a marketplace.",
        )
    return run_restore(source or DEFAULT_URL, token, output, CLOCK, withdraws_missing=withdraw_missing)


def _restore_backup(
    file: Path, folder: Path, output: Output, *, sign_now: bool, yes: bool, from_league: bool
) -> None:
    """Make a folder from a backup, and say what to do next."""
    from hansa.cli.local import CLOCK
    from hansa.cli.progress import ItemProgress
    from hansa.core.files import is_missing
    from hansa.node.backup import restore_backup
    from hansa.node.folder import OBSERVING

    if sign_now:
        confirm(SIGN_NOW_RISK, is_confirmed=yes)
    with ItemProgress("bytes", None, output) as progress:
        manifest = restore_backup(
            *(file, folder, CLOCK), signs_now=sign_now, takes_newer=from_league, progress=progress.advance
        )
    _show(manifest, folder, output)
    ledger = "" if manifest.has_ledger else " It fetches the ledger from the other members."
    signing = ""
    if sign_now:
        signing = " Its validator signs at once."
    elif not is_missing(folder / OBSERVING):  # a light member has none
        signing = " Its validator observes until it cannot sign twice; `hansa status` shows how far it is."
    taking = (
        " When it has read the ledger: hansa restore --from-league URL takes newer versions from the others."
        if from_league
        else ""
    )
    output.message(
        f"Make sure that no other copy of {manifest.name} runs, and never will. Then: hansa doctor {folder}, "
        f"and hansa serve {folder}.{ledger}{signing}{taking}"
    )


def _show(manifest: Manifest, path: Path, output: Output) -> None:
    facts = {
        "path": str(path),
        "marketplace": manifest.name,
        "DID": manifest.did,
        "league": manifest.chain_id,
        "made": f"{manifest.time}, by Hansa {manifest.release}",
        "files": f"{len(manifest.parts)}, {manifest.size_bytes:,} bytes",
        "ledger": "in it" if manifest.has_ledger else "not in it",
        "fingerprint": manifest.fingerprint,
    }
    if not output.as_json:
        output.facts(facts)
        return
    output.document(
        {
            "path": str(path),
            "name": manifest.name,
            "did": manifest.did,
            "chain_id": manifest.chain_id,
            "time": manifest.time,
            "release": manifest.release,
            "has_ledger": manifest.has_ledger,
            "size_bytes": manifest.size_bytes,
            "fingerprint": manifest.fingerprint,
            "parts": manifest.parts,
        }
    )
