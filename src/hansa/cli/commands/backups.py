"""`hansa backup` and `hansa restore`: a marketplace's folder as one file, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hansa.cli.commands import command
from hansa.cli.options import AsJson, Yes, confirm
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
BackupFile = Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")]


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


@command("Make a marketplace's folder from a backup.", "hansa restore market.backup market")
def restore(
    file: BackupFile,
    folder: Annotated[Path, typer.Argument(metavar="D", help="The folder to make; absent, or empty.")],
    sign_now: Annotated[
        bool,
        typer.Option("--sign-now", help="Let its validator sign at once; the risk is explained first."),
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Make a marketplace's folder from a backup. The whole backup is checked before anything is written.

    Its validator then observes: it follows the ledger and signs nothing, until the ledger shows that it
    cannot contradict what it signed after the backup was made. Stop the original for good before you start
    it.
    """
    from hansa.cli.local import CLOCK
    from hansa.cli.output import Output
    from hansa.cli.progress import ItemProgress
    from hansa.core.files import is_missing
    from hansa.node.backup import restore_backup
    from hansa.node.folder import OBSERVING

    output = Output(as_json=as_json)
    if sign_now:
        confirm(SIGN_NOW_RISK, is_confirmed=yes)
    with ItemProgress("bytes", None, output) as progress:
        manifest = restore_backup(file, folder, CLOCK, signs_now=sign_now, progress=progress.advance)
    _show(manifest, folder, output)
    ledger = "" if manifest.has_ledger else " It fetches the ledger from the other members."
    signing = ""
    if sign_now:
        signing = " Its validator signs at once."
    elif not is_missing(folder / OBSERVING):  # a light member has none
        signing = " Its validator observes until it cannot sign twice; `hansa status` shows how far it is."
    output.message(
        f"Make sure that no other copy of {manifest.name} runs, and never will. Then: hansa doctor {folder}, "
        f"and hansa serve {folder}.{ledger}{signing}"
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
