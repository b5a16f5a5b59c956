"""The command line: `hansa …`. Every command says in its `--help` what it does, with an example.

`app` assembles the commands, `commands` declares them, and what they run is in `demo`, `imports`, `catalogue`
and `doctor`. `client` talks to a marketplace over HTTP; `output` and `reporting` write data to stdout,
messages to stderr.
"""

from __future__ import annotations


def main() -> int:
    """Run the command that the arguments name; the exit status of what ended it from outside."""
    from hansa.core.interpreter import loading

    with loading():
        from hansa.cli.app import app
        from hansa.cli.reporting import INTERRUPTED, report_os_error

    try:
        app()
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:  # of the help, which no command writes
        return report_os_error(error)
    return 0
