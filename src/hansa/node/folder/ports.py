"""Free ports for the engines of new members."""

from __future__ import annotations

from typing import Final

from hansa.core.errors import Code, Fatal
from hansa.pubsub.engine import require_free_port

PORTS_TRIED_MAX: Final = 500


def unused_ports(first: int, count: int, host: str) -> tuple[int, ...]:
    """Ports from `first` on that nothing listens on.

    They are kept in settings, so they must not be among those that the system hands out for outgoing
    connections (from 32768 on, on Linux): such a port may be taken at the next start.

    Raises:
        Fatal: `Code.PORT_IN_USE`, when there are not so many; `Code.SETTINGS_INVALID`, when the host is not
            this one.
    """
    free: list[int] = []
    for port in range(first, min(first + PORTS_TRIED_MAX, 65_536)):
        if len(free) == count:
            break
        try:
            require_free_port(port, "the engine", host)
        except Fatal as error:
            if error.code is not Code.PORT_IN_USE:
                raise
        else:
            free.append(port)
    if len(free) < count:
        raise Fatal(Code.PORT_IN_USE, f"There are not {count} free ports from {first} on.")
    return tuple(free)
