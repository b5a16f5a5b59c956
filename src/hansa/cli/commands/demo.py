"""`hansa demo`: a league on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hansa.cli.commands import command
from hansa.cli.options import AsJson


@command("Run a league on this machine, with sample data.", "hansa demo --members 4 --dir league")
def demo(
    members: Annotated[int, typer.Option("--members", metavar="N", help="How many marketplaces.")] = 4,
    base_port: Annotated[
        int, typer.Option("--base-port", metavar="P", help="Member k serves on port P + k.")
    ] = 8100,
    directory: Annotated[
        Path, typer.Option("--dir", metavar="D", help="Folder of the league; created if absent.")
    ] = Path("league"),
    empty: Annotated[bool, typer.Option("--empty", help="Start without sample data.")] = False,
    no_follow: Annotated[
        bool, typer.Option("--no-follow", help="Show nothing after `league ready`; run until stopped.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a league of marketplaces on this machine, with sample data.

    Creates the league in D, or resumes it. Prints `league ready` with the addresses when all are ready, then
    shows their state: live on a terminal, else a line for every change. A member that dies is started again.
    Each has an operator's token in D/NAME/token; --json prints the tokens, too. Ctrl-C or SIGTERM stops the
    league.
    """
    from hansa.cli.demo.league import DemoOptions, run_demo
    from hansa.cli.local import CLOCK, ENTROPY
    from hansa.cli.output import Output

    options = DemoOptions(directory, members, base_port, empty, not no_follow)
    run_demo(options, Output(as_json=as_json), CLOCK, ENTROPY)
