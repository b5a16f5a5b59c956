"""Generates pages of docs/ from the code: `python -m tools.document`. A test compares them with the code."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import typer.main

from hansa.cli.app import app
from hansa.node.health import conditions_page
from hansa.node.metrics import metrics_page
from tools.api_tables import apis_page
from tools.settings_table import settings_page
from tools.state_tables import states_page

CHECKOUT: Final = Path(__file__).resolve().parent.parent


def commands_page() -> str:
    """The content of docs/commands.md, from what `--help` says."""
    group: Any = typer.main.get_command(app)
    lines = [
        "# Commands",
        "",
        "Data goes to stdout, messages to stderr. Exit status 0 means done; the others are in",
        "[errors](errors.md). A command that talks to a marketplace takes its token from `--token`, else from",
        "the environment variable `HANSA_TOKEN`. `hansa COMMAND --help` says the same as this page.",
        "",
        "Written by `python -m tools.document`; a test keeps it in step with the code.",
    ]
    for name, command in all_commands(group):
        lines += ["", *_command(name, command)]
    return "\n".join(lines) + "\n"


def all_commands(group: Any, first_words: str = "") -> Iterator[tuple[str, Any]]:
    """All commands with their whole names, those of groups too."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from all_commands(command, f"{first_words}{name} ")
        elif not command.hidden:
            yield f"{first_words}{name}", command


def _command(name: str, command: Any) -> Iterator[str]:
    """A command's section."""
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option" and not each.hidden]
    yield f"## hansa {name}"
    yield ""
    yield inspect.cleandoc(command.help or "")
    yield ""
    yield "```text"
    yield " ".join(["hansa", name, *(each.metavar or each.name.upper() for each in arguments), "[OPTIONS]"])
    yield "```"
    yield ""
    yield (command.epilog or "").partition(": ")[0] + ":"
    yield ""
    yield "```console"
    yield (command.epilog or "").partition(": ")[2]
    yield "```"
    yield ""
    yield "| Argument or option | Meaning | Default |"
    yield "|---|---|---|"
    for argument in arguments:
        yield f"| `{argument.metavar or argument.name.upper()}` | {_meaning(argument)} | {_default(argument)} |"
    for option in options:
        value = "" if option.is_flag else f" {option.metavar or option.opts[0].lstrip('-').upper()}"
        names = ", ".join(f"`{each}{value}`" for each in (*option.opts, *option.secondary_opts))
        yield f"| {names} | {_meaning(option)} | {_default(option)} |"


def _meaning(parameter: Any) -> str:
    return " ".join((parameter.help or "").split()).replace("|", "\\|")


def _default(parameter: Any) -> str:
    if parameter.required:
        return "(required)"
    return "" if parameter.default in (None, False, (), []) else f"`{parameter.default}`"


PAGES: Final[dict[str, Callable[[], str]]] = {
    "docs/commands.md": commands_page,
    "docs/integrators/apis.md": apis_page,
    "docs/integrators/states.md": states_page,
    "docs/conditions.md": conditions_page,
    "docs/metrics.md": metrics_page,
    "docs/settings.md": settings_page,
}
"""Generated pages, by their path."""


def main() -> None:
    """Write all of them."""
    for path, content in PAGES.items():
        (CHECKOUT / path).write_text(content())
        print(path)


if __name__ == "__main__":
    main()
