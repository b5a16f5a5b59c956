"""TCP ports: choosing free ones, and reporting early and clearly when one is in use."""

from __future__ import annotations

import contextlib
import errno
import socket

from hansa.core.errors import Code, Fatal


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
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise Fatal(
                    Code.PORT_IN_USE,
                    f"Port {port} ({purpose}) is in use on {host}. Stop the other program, or choose another port.",
                ) from error
            raise Fatal(
                Code.SETTINGS_INVALID, f"{host}:{port} ({purpose}) cannot be listened on: {error.strerror}."
            ) from error


def open_socket(host: str) -> socket.socket:
    """A stream socket of the host's address family."""
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
