"""Who the members of a simulated league are: names, keys and addresses, the same for the same seed."""

from __future__ import annotations

import hashlib
import random
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import OKPKey

from hansa.core.base64url import to_base64url
from hansa.core.confidential.agreement import AgreementKey
from hansa.core.derivation import DerivationSecret
from hansa.core.keys import SigningKey
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.node.settings.loading import Settings
from hansa.node.settings.schema import OWN_SETTINGS

NAMES: Final = (
    *("lubeck", "bergen", "riga", "visby", "tallinn", "danzig", "hamburg", "bremen", "rostock", "wismar"),
    *("stralsund", "stettin", "reval", "novgorod", "bruges", "london", "koln", "lund", "malmo", "turku"),
)


class Identity(msgspec.Struct, frozen=True):
    """One member."""

    name: str
    key: SigningKey
    did: str
    endpoint: str
    agreement_key: AgreementKey
    """With it events are sealed for this member."""
    secret: DerivationSecret
    """In its folder, and not in its store."""
    validator_key: str
    """Public, of a validator that does not run: by it the member has power to vote."""

    @property
    def member(self) -> Member:
        """As the genesis has it."""
        return Member(
            *(self.did, self.name, self.endpoint, (self.key.public,), 1),
            agreement_key=self.agreement_key.public,
            validator_key=self.validator_key,
        )


def identity(name: str, drawn: random.Random) -> Identity:
    """A member with a key of its own."""
    private = drawn.randbytes(32)
    public = Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    fields: dict[str, str | list[str]] = {
        "kty": "OKP",
        "crv": "Ed25519",
        "d": to_base64url(private),
        "x": to_base64url(public),
    }
    key = SigningKey(OKPKey.import_key(fields))
    agreement_key = AgreementKey.generate(drawn.randbytes)
    secret = DerivationSecret(hashlib.sha256(private).digest())
    endpoint = f"https://{name}.example"
    validator = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"validator" + private).digest())
    validator_key = validator.public_key().public_bytes_raw().hex()
    return Identity(name, key, key.verifying_key().did_key(), endpoint, agreement_key, secret, validator_key)


def settings_of(one: Identity, limits: Limits) -> Settings:
    """The settings of a member: the defaults, and whatever writes others forward."""
    values = {setting.key: setting.default for setting in OWN_SETTINGS}
    values |= {"name": one.name, "did": one.did, "endpoint": one.endpoint, "write_delegations": ("* * *",)}
    return Settings(**values, limits=limits)  # type: ignore[arg-type] # the schema's defaults have their types
