"""`did:elsi`: the DID of a legal person that has a certificate for seals.

`did:elsi:` and the organization identifier of the certificate's subject (object identifier 2.5.4.97), as
`did:elsi:VATES-12345678`. The identifier has the form of ETSI EN 319 412-1, section 5.1.4: three letters for
the register (`VAT`, `NTR`, `PSD`, `LEI` …), two for the country, a hyphen, and the number there; or, for a
national scheme, two letters, a colon and two letters for the country, a hyphen, and the number.
"""

from __future__ import annotations

import re
from typing import Final

from hansa.core.identifiers import is_did

ELSI_PREFIX: Final = "did:elsi:"

_IDENTIFIER: Final = re.compile("(?:[A-Z]{3}|[A-Z]{2}:)[A-Z]{2}-[A-Za-z0-9._:-]{1,200}", re.ASCII)


def is_elsi(did: str) -> bool:
    """Whether a DID says that its owner is a legal person with a certificate for seals."""
    return did.startswith(ELSI_PREFIX)


def organization_identifier_of(did: str) -> str | None:
    """The organization identifier in a did:elsi; None when it is no well-formed one."""
    identifier = did.removeprefix(ELSI_PREFIX)
    is_well_formed = is_did(did) and is_elsi(did) and _IDENTIFIER.fullmatch(identifier) is not None
    return identifier if is_well_formed else None


def elsi_did(identifier: str) -> str:
    """The did:elsi of an organization identifier."""
    return ELSI_PREFIX + identifier


def read_organization(text: str) -> str | None:
    """The organization identifier that somebody wrote, as it is or as a did:elsi; None when it is none."""
    return organization_identifier_of(elsi_did(text.removeprefix(ELSI_PREFIX)))
