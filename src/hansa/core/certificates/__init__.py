"""X.509 certificates (RFC 5280) as evidence of who a key belongs to, read by no library.

A certificate comes from a stranger and is judged by every validator, so all of them must read the same in
it. `der` is a reader of DER (ITU-T X.690) for a bounded profile, in which every value has one byte string;
`certificate` reads the fields of a certificate; `chain` verifies a path to a trust anchor at a moment that is
a parameter. What the profile does not name is refused. Signatures are verified over exactly the bytes that
were read.
"""

from hansa.core.certificates.certificate import (
    CERTIFICATE_SIZE_MAX_BYTES,
    Certificate,
    read_anchor,
    read_certificate,
)
from hansa.core.certificates.chain import CHAIN_LENGTH_MAX, VerifiedChain, verify_chain
from hansa.core.certificates.elsi import is_elsi, organization_identifier_of

__all__ = [
    "CERTIFICATE_SIZE_MAX_BYTES",
    "CHAIN_LENGTH_MAX",
    "Certificate",
    "VerifiedChain",
    "is_elsi",
    "organization_identifier_of",
    "read_anchor",
    "read_certificate",
    "verify_chain",
]
