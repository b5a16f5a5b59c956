"""Writes the pages that follow from the code: `python -m tools.document`. tests/docs finds them out of date."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import typer.main

from hansa.cli.app import app
from hansa.node.metrics import metrics_page
from hansa.node.settings import settings_page

CHECKOUT: Final = Path(__file__).resolve().parent.parent


def commands_page() -> str:
    """The content of docs/commands.md, from what `--help` says."""
    group: Any = typer.main.get_command(app)
    lines = [
        "# Commands",
        "",
        "Data goes to stdout, messages to stderr. Exit status 0 means done; the others are in [errors](errors.md).",
        "`hansa COMMAND --help` says the same as this page.",
        "",
        "Written by `python -m tools.document`; a test keeps it in step with the code.",
    ]
    for name, command in group.commands.items():
        if not command.hidden:
            lines += ["", *_command(name, command)]
    return "\n".join(lines) + "\n"


def _command(name: str, command: Any) -> Iterator[str]:
    """A command's section."""
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option" and not each.hidden]
    usage = " ".join(["hansa", name, *(_placeholder(each) for each in arguments)])
    yield f"## hansa {name}"
    yield ""
    yield from _prose(command.help or "")
    yield ""
    yield "```text"
    yield usage + (" [OPTIONS]" if options else "")
    yield "```"
    if arguments or options:
        yield ""
        yield "| Argument or option | Meaning | Default |"
        yield "|---|---|---|"
    for argument in arguments:
        yield f"| `{_placeholder(argument)}` | {_cell(argument.help)} | {_default(argument)} |"
    for option in options:
        value = "" if option.is_flag else f" {(option.metavar or option.type.name).upper()}"
        names = ", ".join(f"`{each}{value}`" for each in [*option.opts, *option.secondary_opts])
        yield f"| {names} | {_cell(option.help)} | {_default(option)} |"


def _placeholder(argument: Any) -> str:
    shown = (argument.metavar or argument.name.upper()) + ("…" if argument.nargs == -1 else "")
    return shown if argument.required or shown.startswith("[") else f"[{shown}]"


def _prose(text: str) -> Iterator[str]:
    """Help as paragraphs; an indented example becomes a code block."""
    is_code = False
    for line in inspect.cleandoc(text.replace("\b", "")).splitlines():
        indented = line.startswith("  ")
        if indented != is_code and line.strip():
            yield "```console" if indented else "```"
            if is_code:
                yield ""
            is_code = indented
        yield line.strip() if is_code else line.rstrip()
    if is_code:
        yield "```"


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def _default(parameter: Any) -> str:
    if parameter.required:
        return "(required)"
    default = getattr(parameter, "show_default", None)
    if isinstance(default, str):
        return default
    value = parameter.default() if callable(parameter.default) else parameter.default
    return "" if value in (None, False, (), []) else f"`{value}`"


PAGES: Final[dict[str, Callable[[], str]]] = {
    "docs/commands.md": commands_page,
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
