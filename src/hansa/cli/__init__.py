"""The command line: `hansa …`. Every command says in its `--help` what it does, with an example."""

from __future__ import annotations


def main() -> None:
    """Run the command that the arguments name."""
    from hansa.cli.app import app

    app()
