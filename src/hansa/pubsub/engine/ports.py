"""TCP ports: choosing free ones, and reporting early and clearly when one is in use."""

from __future__ import annotations

import contextlib
import errno
import socket
from typing import Final

from hansa.core.errors import Code, Fatal

HOST_SHOWN_MAX_CHARS: Final = 80


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nothing listens on now. Another process may take it before the caller does."""
    return free_ports(1, host)[0]


def free_ports(count: int, host: str = "127.0.0.1") -> tuple[int, ...]:
    """Different free ports; all are bound until the last is chosen, so that none comes twice."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(open_socket(host)) for _ in range(count)]
        for each in sockets:
            each.bind((host, 0))
        return tuple(each.getsockname()[1] for each in sockets)


def require_free_port(port: int, purpose: str, host: str = "127.0.0.1") -> None:
    """Check that a port can be listened on.

    Raises:
        Fatal: `Code.PORT_IN_USE`, saying what the port was for; `Code.SETTINGS_INVALID`, when the address is
            not one of this machine or needs more rights.
    """
    with open_socket(host) as probe:
        # A connection of an earlier run that is still closing does not keep anybody from listening.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except (OSError, UnicodeError) as error:
            raise not_listening(error, port, purpose, host) from error


def not_listening(error: OSError | UnicodeError, port: int, purpose: str, host: str) -> Fatal:
    """Why a port cannot be listened on: it is in use, or the address is none of this machine."""
    if isinstance(error, UnicodeError):  # more than 63 characters between two dots, or none
        return Fatal(Code.SETTINGS_INVALID, f"{host[:HOST_SHOWN_MAX_CHARS]!r} ({purpose}) is no host.")
    if error.errno == errno.EADDRINUSE:
        return Fatal(
            Code.PORT_IN_USE,
            f"Port {port} ({purpose}) is in use on {host}. Stop the other program, or choose another port.",
        )
    return Fatal(
        Code.SETTINGS_INVALID,
        f"{host[:HOST_SHOWN_MAX_CHARS]}:{port} ({purpose}) cannot be listened on: {error.strerror}.",
    )


def open_socket(host: str) -> socket.socket:
    """A stream socket of the host's address family."""
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
