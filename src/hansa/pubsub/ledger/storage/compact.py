"""Contents of events and signatures of batches as the state's file has them: compressed one by one.

What an event says are hashes, an id and a time, of some 90 bytes that nobody can compress, in some 280 bytes
of keys and common values. Zstandard (RFC 8878) with a dictionary that was trained with such contents makes it
less than half in a microsecond, and each row can still be read by itself. Of a batch's JWS the parts are
decoded first, and compressed by deflate (RFC 1951) with a dictionary of its own.

    {…                        an event's content as it is
    01 <deflated>             the same, as releases before wrote it
    03 <frame>                the same, compressed: a frame of Zstandard without its magic number
    02 <h:2> <p:2> <s:2> <signature> <deflated>
                              a compact JWS: sizes in bytes of its header, payload and signature, and these
    anything else             as it is

What is hashed and handed out is always the original. A row that is not readable reads as nothing, and whoever
compares it with what was signed finds that out. `expanded_content` and `expanded_jws` are functions of SQL
too, on every connection that `register_functions` has seen.
"""

from __future__ import annotations

import base64
import binascii
import struct
import threading
import zlib
from pathlib import Path
from typing import Any, Final

import apsw
import zstandard

from hansa.core.base64url import to_base64url

_DEFLATED: Final = b"\x01"
_FRAME: Final = b"\x03"
_JWS: Final = b"\x02"
_WINDOW_BITS: Final = -12
"""4,096 bytes, without header: the dictionary and an event of a usual size are in reach."""
_MEMORY_LEVEL: Final = 5
_LEVEL_OF_CONTENTS: Final = 1
_LEVEL: Final = 2
_EXPANDED_MAX_BYTES: Final = 2_097_152
"""Twice the largest event that a league can allow."""
_SIZES: Final = struct.Struct(">HHH")

_DICTIONARY: Final = (
    b'"labels":["nonce":""'
    b'{"alg":"EdDSA","cty":"{"alg":"ES256","cty":"application/vnd.hansa.events+json","iat":17960,"kid":"","typ":"jose"}'
    b'{"count":1,"issuer":"did:elsi:VATdid:key:zDndid:web:","root":"","seq":179'
    b'"previous":"hl:zQm"region":["EU"]"validFor":{"endDateTime":"2027-01-01T00:00:00.000Z",'
    b'"startDateTime":"2026-01-01T00:00:00.000Z"}IndividualOrganizationCatalogCategoryServiceResource'
    b"AttributeValueChangeEventStateChangeEventDeleteEventCategoryProductCatalogProductOfferingPrice"
    b"ProductSpecificationServiceSpecificationResourceSpecification"
    b'"lifecycleStatus":"Retired""lifecycleStatus":"Obsolete""ObsoleteEvent"'
    b'"metadata":{"categories":[""],"lifecycleStatus":"Launched"},"nonce":"","previous":"hl:zQm","time":"202'
    b'T00:00:00.000Z","type":"productOfferingStateChangeEvent"}'
    b'{"entity":{"key":"0123456789abcdef","type":"ProductOffering","version":1},"hashlink":"hl:zQm","id":"01'
    b'-7","metadata":{"categories":["cloud"],"lifecycleStatus":"Launched"},"time":"2026-12-01T00:00:00.000Z",'
    b'"type":"productOfferingCreateEvent"}'
)
"""What events and batches have in common, the most common last. It never changes: files refer to it."""

_COMPRESSOR: Final = zlib.compressobj(
    _LEVEL, zlib.DEFLATED, _WINDOW_BITS, _MEMORY_LEVEL, zlib.Z_DEFAULT_STRATEGY, _DICTIONARY
)
"""Copied for each row: that is faster than making one with the dictionary anew."""


_DICTIONARY_OF_CONTENTS: Final = zstandard.ZstdCompressionDict(
    Path(__file__).with_name("contents.dictionary").read_bytes(), dict_type=zstandard.DICT_TYPE_FULLDICT
)
"""It never changes: files refer to it."""
_DICTIONARY_OF_CONTENTS.precompute_compress(level=_LEVEL_OF_CONTENTS)


class _Zstandard(threading.local):
    """What compresses and expands in one thread."""

    def __init__(self) -> None:
        super().__init__()
        self.compress = zstandard.ZstdCompressor(
            _LEVEL_OF_CONTENTS,
            dict_data=_DICTIONARY_OF_CONTENTS,
            write_checksum=False,
            write_dict_id=False,
        ).compress
        self.expand = zstandard.ZstdDecompressor(dict_data=_DICTIONARY_OF_CONTENTS).decompress


_ZSTANDARD: Final = _Zstandard()


def stored_content(content: bytes) -> bytes:
    """How the file has the content of an event."""
    frame = _ZSTANDARD.compress(content)
    assert frame.startswith(zstandard.FRAME_HEADER), "a frame begins with its magic number"
    stored = _FRAME + frame[len(zstandard.FRAME_HEADER) :]
    return stored if len(stored) < len(content) or content[:1] != b"{" else content


def expanded_content(stored: bytes) -> bytes:
    """The content of an event; nothing when it is not readable."""
    kind = stored[:1]
    if kind == _FRAME:
        return _expanded(zstandard.FRAME_HEADER + stored[1:])
    return _inflated(stored[1:]) if kind == _DEFLATED else stored


def stored_jws(jws: str) -> bytes:
    """How the file has the JWS of a batch."""
    parts = _decoded(jws)
    if parts is None:
        return jws.encode()
    header, payload, signature = parts
    sizes = _SIZES.pack(len(header), len(payload), len(signature))
    return _JWS + sizes + signature + _deflated(header + payload)


def expanded_jws(stored: bytes) -> str:
    """The JWS of a batch; nothing when it is not readable."""
    if stored[:1] != _JWS:
        return stored.decode("ascii", "replace")
    try:
        header_size, payload_size, signature_size = _SIZES.unpack_from(stored, 1)
    except struct.error:
        return ""
    begin = 1 + _SIZES.size
    signed = _inflated(stored[begin + signature_size :])
    if len(signed) != header_size + payload_size:
        return ""
    signature = stored[begin : begin + signature_size]
    return ".".join(map(to_base64url, (signed[:header_size], signed[header_size:], signature)))


def register_functions(connection: apsw.Connection) -> None:
    """Let the SQL of a connection use `expanded_content` and `expanded_jws`."""
    functions: dict[str, Any] = {
        "expanded_content": expanded_content,
        "expanded_jws": expanded_jws,
    }
    for name, function in functions.items():
        connection.create_scalar_function(name, function, 1, deterministic=True)


def _decoded(jws: str) -> tuple[bytes, bytes, bytes] | None:
    """The parts of a compact JWS, as far as they give it back; None otherwise."""
    try:
        header, payload, signature = (
            base64.b64decode(part + "=" * (-len(part) % 4), b"-_", validate=True) for part in jws.split(".")
        )
    except (ValueError, binascii.Error):
        return None
    is_fitting = max(len(header), len(payload), len(signature)) < 1 << 16
    is_same = ".".join(map(to_base64url, (header, payload, signature))) == jws
    return (header, payload, signature) if is_fitting and is_same else None


def _deflated(raw: bytes) -> bytes:
    compressor = _COMPRESSOR.copy()
    return compressor.compress(raw) + compressor.flush()


def _expanded(frame: bytes) -> bytes:
    try:
        if not 0 <= zstandard.frame_content_size(frame) <= _EXPANDED_MAX_BYTES:
            return b""
        return _ZSTANDARD.expand(frame, allow_extra_data=False)
    except zstandard.ZstdError:
        return b""


def _inflated(deflated: bytes) -> bytes:
    inflater = zlib.decompressobj(_WINDOW_BITS, _DICTIONARY)
    try:
        raw = inflater.decompress(deflated, _EXPANDED_MAX_BYTES)
    except zlib.error:
        return b""
    return raw if inflater.eof and not inflater.unused_data else b""
