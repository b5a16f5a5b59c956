"""Whether a credential was revoked or suspended, by the signed lists of its issuer.

`references` says where a credential's status is, `encoding` unpacks lists, `lists` fetches, verifies and
caches them. Whatever cannot be told is a refusal.
"""
