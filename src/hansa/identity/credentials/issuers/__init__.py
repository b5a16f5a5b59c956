"""Who issued a credential, and whether that one is trusted for it.

`dids` resolves decentralized identifiers to keys, `anchors` reads the authorities whose certificates are
accepted, `registry` says what the trusted issuers of a league may issue, `trust` puts them together.
"""
