"""Policies: what an operator chooses where TM Forum, or a protocol, leaves a choice.

Each is declared here once, with its values; the settings, their documentation and the parts that the policies
govern all take them from here. The first value is the default.
"""

from __future__ import annotations

from typing import Literal

UnknownAttributes = Literal["refuse", "keep"]
"""What becomes of an attribute that its type does not have."""
MissingAttributes = Literal["complete", "strict"]
"""What becomes of a body that leaves out an attribute which its document requires."""
UnknownExtensions = Literal["keep", "refuse"]
"""What becomes of a body that announces an extension whose schema is not registered."""
UnresolvedPolicy = Literal["warn", "refuse"]
"""What becomes of a write that refers to an entity which is not here."""
ItemStates = Literal["follow", "decide"]
"""What becomes of the items of an order that ends as a whole."""
DeletionPolicy = Literal["refuse", "warn"]
"""What becomes of the deletion of an entity that others refer to."""
FormerReplicas = Literal["retain", "drop"]
"""What becomes of the replicas of members that left the league or were removed."""
SdJwtIssuer = Literal["did", "address"]
"""How the issuer of an SD-JWT VC is named: by the DID of the organisation, or by the issuer's address."""
CredentialTrust = Literal["ledger", "anchors"]
"""Whose credentials are accepted."""
ClientIdPrefix = Literal["x509_hash", "x509_san_dns", "decentralized_identifier"]
"""How wallets know a verifier (OpenID4VP 1.0, section 5.9.3)."""
ResponseMode = Literal["direct_post.jwt", "direct_post"]
"""How wallets answer (OpenID4VP 1.0, sections 8.2 and 8.3)."""
CrossDevice = Literal["code", "confirm", "off"]
"""How a login with a wallet on another device is confirmed; `off`: there is none."""
