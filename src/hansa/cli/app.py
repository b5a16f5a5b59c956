"""Assembles the command line from the commands of `hansa.cli.commands`, in the order of the help."""

from __future__ import annotations

import sys
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from hansa.cli.commands import (
    CommandGroup,
    backups,
    demo,
    engine,
    governance,
    joining,
    keys,
    league,
    marketplace,
    proofs,
    remote,
    replication,
    signatures,
)
from hansa.cli.commands.identity import access, clients, issuing, organizations, wallet
from hansa.core.files import restrict_new_files

COMMANDS: Final = (
    demo.demo,
    marketplace.init,
    league.found_league,
    joining.join,
    marketplace.serve,
    marketplace.token,
    marketplace.doctor,
    backups.backup,
    backups.restore,
    keys.KEYS,
    clients.CLIENTS,
    access.ACCESS,
    governance.LEAGUE,
    engine.ENGINE,
    remote.status,
    remote.import_,
    remote.export,
    remote.diff,
    remote.events,
    proofs.receipt,
    proofs.verify,
    proofs.AUDIT,
    replication.policy,
    replication.replication,
    replication.peers,
    replication.resync,
    signatures.jades,
    signatures.CREDENTIALS,
    issuing.issue,
    organizations.ORGANIZATIONS,
    wallet.WALLET,
    marketplace.version,
)


def _group_class(default: str | None) -> type[TyperGroup]:
    """The class of a group of commands, of which one is meant when none is named."""
    if default is None:
        return TyperGroup

    class DefaultedCommands(TyperGroup):
        """Takes what is no command as the arguments of the default one."""

        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            """The arguments, with the name of the command."""
            assert default is not None, "only such a group has this class"
            if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
                args = [default, *args]
            return super().parse_args(ctx, args)

    return DefaultedCommands


app: Final = typer.Typer(
    name="hansa",
    help="A league of independent marketplaces with one shared, verified catalogue.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _show_version(is_requested: bool) -> None:
    if is_requested:
        from hansa import __version__

        typer.echo(f"hansa {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """A league of independent marketplaces with one shared, verified catalogue."""
    restrict_new_files()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


for each in COMMANDS:
    if isinstance(each, CommandGroup):
        group = typer.Typer(
            cls=_group_class(each.default),
            help=each.short_help,
            no_args_is_help=True,
            rich_markup_mode=None,
        )
        for one in each.commands:
            group.command(one.name, short_help=one.short_help, epilog=f"Example: {one.example}")(one.run)
        app.add_typer(group, name=each.name)
    else:
        app.command(each.name, short_help=each.short_help, epilog=f"Example: {each.example}")(each.run)
