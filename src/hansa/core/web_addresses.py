"""Web addresses that others name: callbacks of hub listeners, endpoints of members, sources of imports.

One function decides whether a text is such an address, for whoever registers it and for whoever sends a
request to it, so that nothing is registered that cannot be used. It takes what RFC 3986 calls an http or
https URI with an authority of host and port, and takes hosts in one form alone, so that all parsers of URLs
agree about them:

    a name      labels of 1 to 63 letters, digits, `-` and `_`, ASCII (an international name in its `xn--`
                form, which must decode), 253 characters at most, no dot at the end
    IPv4        four decimal numbers; neither `0x7f.1` nor `2130706433`, which some resolve
    IPv6        in brackets, without a zone
    a port      1 to 65535; the scheme's own when none is written

No user name, no fragment, no backslash, no character that is not visible ASCII.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

import msgspec
from yarl import URL

from hansa.core.errors import Code, Refused

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

DEFAULT_PORTS: Final = {"http": 80, "https": 443}
ADDRESS_LENGTH_MAX_CHARS: Final = 8192
NAME_LENGTH_MAX_CHARS: Final = 253
PORT_MAX: Final = 65_535
IPV6_NETWORK_BITS: Final = 64
"""One customer of a provider has so many bits of an address for itself."""
IPV6_SITE_BITS: Final = 48

_VISIBLE: Final = re.compile(r"[!-~]+")
_ADDRESS: Final = re.compile(
    r"(?P<scheme>[A-Za-z]+)://(?P<authority>[^/?#\\]*)(?P<rest>(?:[/?][!-\[\]-~]*)?)", re.ASCII
)
_HOST_AND_PORT: Final = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?P<port>(?::.*)?)", re.ASCII)
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_NUMBER: Final = re.compile(r"0x[0-9a-f]*|[0-9]+", re.ASCII)
_PORT: Final = re.compile(r":[1-9][0-9]{0,4}", re.ASCII)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


class WebAddress(msgspec.Struct, frozen=True):
    """An address that a request can be sent to."""

    scheme: str
    host: str
    """Lower case; IPv6 without brackets."""
    port: int
    ip: IpAddress | None
    """The host, when it is an address and not a name."""

    @property
    def origin(self) -> str:
        """Scheme, host and port, written out: `https://market.example:443`."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{shown}:{self.port}"


def web_address(text: str, *, allow_private_networks: bool = True) -> WebAddress:
    """The parts of a web address; see the module for what is one.

    Args:
        text: The address as it was written, which is also how requests are sent to it.
        allow_private_networks: Whether a host that is an address may be a private or loopback one; what a
            name leads to is only known when it is resolved.

    Raises:
        Refused: `Code.HOST_NOT_ALLOWED`, saying what is wrong, as "it carries a user name or password".
    """
    scheme, authority = _scheme_and_authority(text)
    parts = _HOST_AND_PORT.fullmatch(authority)
    if parts is None:
        raise _not_allowed("it has no host that can be read")
    host, port = parts["host"].lower(), _port_of(parts["port"], scheme)
    ip = _ip_of(host)
    if ip is None:
        _check_name(host)
    elif not is_allowed_address(ip, allow_private_networks):
        raise _not_allowed("the address is not a public one")
    _check_client_agrees(text, host, port)
    return WebAddress(scheme, host.strip("[]"), port, ip)


def _scheme_and_authority(text: str) -> tuple[str, str]:
    if not 0 < len(text) <= ADDRESS_LENGTH_MAX_CHARS:
        raise _not_allowed(f"it does not have 1 to {ADDRESS_LENGTH_MAX_CHARS} characters")
    if not _VISIBLE.fullmatch(text):
        raise _not_allowed("it has characters other than visible ASCII; write an international name as xn--…")
    if "#" in text:
        raise _not_allowed("it has a fragment")
    parts = _ADDRESS.fullmatch(text)
    if parts is None or parts["scheme"].lower() not in DEFAULT_PORTS:
        raise _not_allowed("it is not of the form https://host/path")
    if "@" in parts["authority"]:
        raise _not_allowed("it carries a user name or password")
    return parts["scheme"].lower(), parts["authority"]


def _port_of(suffix: str, scheme: str) -> int:
    """The port that `:` and a number say, or the scheme's own."""
    if not suffix:
        return DEFAULT_PORTS[scheme]
    if not _PORT.fullmatch(suffix) or int(suffix[1:]) > PORT_MAX:
        raise _not_allowed(f"its port is not a number from 1 to {PORT_MAX}")
    return int(suffix[1:])


def _ip_of(host: str) -> IpAddress | None:
    """The address that a host is; None when it is a name."""
    try:
        if host.startswith("["):
            if "%" in host:
                raise _not_allowed("its IPv6 address has a zone")
            return ipaddress.IPv6Address(host[1:-1])
        if _NUMBER.fullmatch(host.rpartition(".")[2]):
            return ipaddress.IPv4Address(host)
    except ValueError as error:
        raise _not_allowed("its host is neither a name nor an IP address in the usual form") from error
    return None


def _check_name(host: str) -> None:
    """Refuse what is no name of a host."""
    if not host:
        raise _not_allowed("it has no host")
    if len(host) > NAME_LENGTH_MAX_CHARS:
        raise _not_allowed(f"its host has more than {NAME_LENGTH_MAX_CHARS} characters")
    for label in host.split("."):
        if not _LABEL.fullmatch(label):
            raise _not_allowed(
                "its host has a label that is empty, has more than 63 characters, or has other characters "
                "than letters, digits, - and _"
            )
        if label.startswith("xn--"):
            try:
                label.encode("ascii").decode("idna")
            except UnicodeError as error:
                raise _not_allowed("its host has an international label that does not decode") from error


def _check_client_agrees(text: str, host: str, port: int) -> None:
    """Refuse an address that the library which sends requests would read in another way."""
    try:
        url = URL(text, encoded=True)
        is_same = (url.host, url.port) != (None, None) and (url.raw_host or "").lower() == host.strip("[]")
        is_same = is_same and url.port == port and url.raw_user is None and url.raw_password is None
    except ValueError as error:
        raise _not_allowed("its host cannot be used") from error
    if not is_same:
        raise _not_allowed("its host can be read in more than one way")


def is_allowed_address(address: IpAddress, allow_private_networks: bool) -> bool:
    """Whether a request may be sent to this address.

    Addresses that stand for IPv4 ones (mapped, 6to4, Teredo, NAT64) are judged by what they stand for.
    Link-local addresses, where clouds keep their machines' credentials, and multicast are never allowed.
    """
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return is_allowed_address(inner, allow_private_networks)
    if address.is_multicast or address.is_link_local or address.is_unspecified:
        return False
    if allow_private_networks and (address.is_loopback or address.is_private):
        return True
    return address.is_global and not address.is_reserved


def _not_allowed(what: str) -> Refused:
    return Refused(Code.HOST_NOT_ALLOWED, f"A request to this address is not allowed: {what}.")


def network_of(address: str) -> str:
    """The address whose holder is one caller: an IPv4 address, or the network of an IPv6 address."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, IPV6_NETWORK_BITS), strict=False).network_address)


def area_of(address: str) -> str:
    """What somebody may have for themselves alone: an IPv4 address, or of IPv6 what a site has (RFC 6177).

    Where something is full that all callers share, those of the area that has most of it give way. So nobody
    takes what others have by coming from many networks of their own.
    """
    network = network_of(address)
    if ":" not in network:
        return network
    try:
        return str(ipaddress.IPv6Network((network, IPV6_SITE_BITS), strict=False).network_address)
    except ValueError:
        return network
