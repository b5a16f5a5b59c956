"""The address of a client behind a reverse proxy, as `Forwarded` (RFC 7239) or `X-Forwarded-For` has it.

What a client writes into these headers is worth nothing; what a proxy of the operator adds is. So they are
read from the end, as long as the proxy that added an address is a trusted one (setting `trusted_proxies`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Final

from hansa.core.cache import Cache
from hansa.core.errors import Code, Fatal
from hansa.node.http.connection.request_head import Fields

HOPS_MAX: Final = 32
TRUSTED_CACHED_MAX: Final = 4096
_FOR: Final = re.compile(rb'(?:^|;)\s*for=("?)([^";,]+)\1', re.IGNORECASE)
_PORT: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+):\d+")


class TrustedProxies:
    """The proxies whose word on a client's address is taken.

    Args:
        names: Addresses, or networks as `10.0.0.0/8`.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`.
    """

    def __init__(self, names: Sequence[str] = ()) -> None:
        try:
            self._networks = tuple(ipaddress.ip_network(name, strict=False) for name in names)
        except ValueError as error:
            raise Fatal(
                Code.SETTINGS_INVALID, f"trusted_proxies has addresses and networks alone: {error}."
            ) from error
        self._cache: Cache[str, bool] = Cache("trusted_proxies", TRUSTED_CACHED_MAX)

    def is_trusted(self, address: str) -> bool:
        """Whether an address is that of a trusted proxy."""
        if not self._networks:
            return False
        known = self._cache.get(address)
        if known is None:
            known = self._has(address)
            self._cache.put(address, known)
        return known

    def _has(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        if parsed.version == 6 and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        return any(parsed in network for network in self._networks)


def client_address(fields: Fields, peer: str, proxies: TrustedProxies) -> str:
    """The address nearest to us that is not a trusted proxy's.

    Args:
        fields: Of the request.
        peer: The trusted proxy that sent it.
        proxies: The trusted ones.
    """
    address = peer
    for name in reversed(_hops(fields)[-HOPS_MAX:]):
        try:
            address = str(ipaddress.ip_address(name))
        except ValueError:
            return address  # an obfuscated or unknown one: nobody can be told apart beyond here
        if not proxies.is_trusted(address):
            return address
    return address


def _hops(fields: Fields) -> list[str]:
    """The addresses that the headers name, the nearest last."""
    forwarded = fields.get(b"forwarded")
    if forwarded is not None:
        matches = [_FOR.search(element) for element in forwarded.split(b",")]
        names = [match[2].decode("latin-1") if match else "unknown" for match in matches]
    else:
        names = (fields.get(b"x-forwarded-for") or b"").decode("latin-1").split(",")
    return [_without_port(name.strip()) for name in names if name.strip()]


def _without_port(name: str) -> str:
    match = _PORT.fullmatch(name)
    return (match[1] or match[2]) if match else name
