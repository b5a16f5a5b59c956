"""What a marketplace needs as a verifier of credentials, in its folder and on the ledger.

verifier/key.pem          signs requests to wallets: P-256, PKCS #8
verifier/certificate.pem  the access certificate and those that issued it, the leaf first
verifier/authority.pem    only beside a certificate that was made here, for development: its authority
verifier/registration.jwt registration certificate of this relying party, if there is one
anchors/                  authorities whose certificates are accepted for issuers of credentials
"""
