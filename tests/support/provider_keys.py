"""Keys with which an OpenID Provider of the tests signs."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from hansa.identity.provider.tokens.signing_keys import prepare_signing_keys


@cache
def provider_key_file() -> bytes:
    """The file of such keys, the same for all providers of a process; making an RSA key takes a while."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "provider.json")
        prepare_signing_keys(path, 0, rsa_size_bits=2048)
        return path.read_bytes()
