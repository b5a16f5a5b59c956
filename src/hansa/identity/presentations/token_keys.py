"""A verifier's key in a PKCS #11 token: a smart card, a hardware security module, or SoftHSM.

The key never leaves the token; this process has a session in which the token signs. Which key it is, a URI
says (RFC 7512):

    pkcs11:token=hansa;object=verifier?module-path=/usr/lib/libsofthsm2.so&pin-source=file:verifier/pin

The PIN is in a file, and never in the settings. A session that the token has ended, as after it was restarted
or pulled out, is opened once more; when that fails too, the request of a wallet is refused for now. Signing
holds up this process for as long as the token takes.

`python-pkcs11` is needed for it, and only for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.forms import unique_fields

URI_MAX_CHARS: Final = 2048
PIN_MAX_CHARS: Final = 256
SIGNATURE_SIZE_BYTES: Final = 64
_SCHEME: Final = "pkcs11:"
_PARAMETERS_MAX: Final = 8


class TokenKeyUri(msgspec.Struct, frozen=True):
    """Where a key is."""

    module: Path
    """The library of the token's maker."""
    token: str
    """Label of the token."""
    object: str
    """Label of the key pair in it."""
    pin_file: Path


def read_token_key_uri(text: str) -> TokenKeyUri:
    """The key that a URI names.

    Raises:
        Refused: `Code.INVALID`, saying what is wrong.
    """
    if len(text) > URI_MAX_CHARS or not text.isprintable() or not text.startswith(_SCHEME):
        raise _invalid("it does not begin with `pkcs11:`, or is too long")
    literal = text.removeprefix(_SCHEME).replace("+", "%2B")  # which is a space in forms alone
    path, _, query = literal.partition("?")
    try:
        named = unique_fields(path.replace(";", "&"), _PARAMETERS_MAX)
        requested = unique_fields(query, _PARAMETERS_MAX)
    except Refused as error:
        raise _invalid(f"it {error.message}") from error
    if named.keys() != {"token", "object"} or requested.keys() != {"module-path", "pin-source"}:
        raise _invalid(
            "it names `token` and `object`, and then `module-path` and `pin-source`, and nothing else"
        )
    source = requested["pin-source"].removeprefix("file:")
    if not all((*named.values(), requested["module-path"], source)) or "|" in source:
        raise _invalid("a part of it is empty, or the PIN is no file")
    return TokenKeyUri(Path(requested["module-path"]), named["token"], named["object"], Path(unquote(source)))


class TokenKey:
    """A key pair on P-256 in a token.

    Args:
        uri: Where it is.
        pin: Of its user.

    Raises:
        Refused: `Code.INVALID`, when it cannot be used: there is no such module, token or key, or the PIN is
            wrong.
    """

    def __init__(self, uri: TokenKeyUri, pin: str) -> None:
        assert len(pin) <= PIN_MAX_CHARS, "whoever reads the file bounds it"
        self._uri = uri
        self._pin = pin
        self._private: Any = None
        self._session: Any = None
        try:
            import pkcs11
        except ImportError as error:
            raise _invalid("`python-pkcs11` is not installed") from error
        self._failure: type[Exception] = pkcs11.exceptions.PKCS11Error
        self._mechanism = pkcs11.Mechanism.ECDSA
        try:
            public = self._opened(pkcs11)
        except (pkcs11.exceptions.PKCS11Error, OSError, ValueError, RuntimeError) as error:
            self._close()
            what = type(error).__name__
            raise _invalid(
                f"the token has no such key, or does not give it with this PIN ({what})"
            ) from error
        key = load_der_public_key(public)
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            self._close()
            raise _invalid("the key is not one on P-256")
        self.public: Final = key

    def _opened(self, pkcs11: Any) -> bytes:
        """Open a session; the public half of the key in DER."""
        from pkcs11.util.ec import encode_ec_public_key

        token = pkcs11.lib(str(self._uri.module)).get_token(token_label=self._uri.token)
        self._session = session = token.open(user_pin=self._pin)
        classes = pkcs11.ObjectClass
        self._private = session.get_key(object_class=classes.PRIVATE_KEY, label=self._uri.object)
        public = session.get_key(object_class=classes.PUBLIC_KEY, label=self._uri.object)
        raw: bytes = encode_ec_public_key(public)
        return raw

    def signature(self, content: bytes) -> bytes:
        """The ES256 signature of some bytes: r and s, 32 bytes each.

        Raises:
            Unavailable: `Code.OVERLOADED`, when the token does not sign now.
        """
        digest = hashlib.sha256(content).digest()
        attempts: tuple[Callable[[], None], ...] = (lambda: None, self._reopen)
        for attempt in attempts:
            try:
                attempt()
                raw: bytes = self._private.sign(digest, mechanism=self._mechanism)
            except self._failure:
                continue
            assert len(raw) == SIGNATURE_SIZE_BYTES, "the key is on P-256"
            return raw
        raise Unavailable(Code.OVERLOADED, "The token with the key does not sign now.", retry_after_s=15.0)

    def _reopen(self) -> None:
        """Open another session; the old one has to go first, since a login is one of the whole process."""
        import pkcs11

        self._close()
        self._opened(pkcs11)

    def _close(self) -> None:
        if self._session is not None:
            with suppress(self._failure):
                self._session.close()


def _invalid(what: str) -> Refused:
    return Refused(Code.INVALID, what)
