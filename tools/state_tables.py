"""The page about state machines, docs/integrators/states.md, from the machines and their models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hansa.business.models import Lifecycle, Models, load

HEAD: Final = """# States

Which state can follow which, by type. What is refused, and how, is in [rules](rules.md).

Written by `python -m tools.document`; a test keeps it in step with the code.
"""


def states_page() -> str:
    """The content of the page."""
    models = load()
    users: dict[str, list[str]] = {}
    machines: dict[str, Lifecycle] = {}
    for name, machine, user in _users(models):
        machines[name] = machine
        users.setdefault(name, []).append(user)
    sections = ["\n".join(_section(machines[name], users[name])) for name in sorted(machines, key=str.lower)]
    return "\n".join([HEAD, *sections])


def _users(models: Models) -> Iterator[tuple[str, Lifecycle, str]]:
    """Machines, and what follows them."""
    for api in models.apis:
        for resource in api.resources:
            machine = models.lifecycle(resource)
            if machine is None:
                continue
            yield machine.name, machine, f"{api.id} `{resource.name}.{resource.status_attribute}`"
            for items in machine.items:
                part = f"{api.id} `{resource.name}.{items.path}.{items.status}`"
                yield items.lifecycle, models.named_lifecycle(items.lifecycle), part


def _section(machine: Lifecycle, users: list[str]) -> Iterator[str]:
    yield f"## {machine.name}"
    yield ""
    yield "For " + ", ".join(users) + "."
    yield f"Begins {' or '.join(map(_shown, machine.initial))}."
    if machine.is_open:
        yield "Open: the document enumerates no states."
    if machine.public:
        yield f"Public when {' or '.join(map(_shown, machine.public))}, beside the states of every catalogue."
    yield ""
    yield "| State | Can become |"
    yield "|---|---|"
    for state, following in machine.next.items():
        yield f"| {_shown(state)} | {', '.join(map(_shown, following)) or '(final)'} |"
    yield ""


def _shown(state: str) -> str:
    return f"`{state.strip()}`"
