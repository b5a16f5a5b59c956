"""The command line: `hansa …`. Every command says in its `--help` what it does, with an example.

`app` assembles the commands, `commands` declares them, and what they run is in `demo`, `imports`, `catalogue`
and `doctor`. `client` talks to a marketplace over HTTP; `output` and `reporting` write data to stdout,
messages to stderr.
"""

from __future__ import annotations


def main() -> None:
    """Run the command that the arguments name."""
    from hansa.cli.app import app

    app()
