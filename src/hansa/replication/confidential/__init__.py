"""Confidential replication: entities that are for some members alone.

audience     for whom an own entity is: the operators of its parties, or those that its provider has chosen
publisher    at the origin: from the feed to sealed events, and the bytes that their recipients may retrieve
recognition  at every member: which sealed events are for this one, and what they say
retrieval    at the recipients: the encrypted bytes from the origin, verified and stored as private replicas

A sealed event says nothing to anybody else (`hansa.core.confidential.sealing`). What is stored of it is not
public: strangers neither see nor count it, and nothing of it is published again.

    event on the ledger                        replica at a recipient
    key: random, once                          identifier: bound to the issuer, or with its prefix
    type: Confidential                         type, version, digest: from the notice
    hashlink: salted                           bytes: from the origin, for the member that signs the request

Failures: an event that no slot is for is passed over. One whose notice cannot be read, and bytes that do not
have the announced hash, are recorded as evidence. An origin that does not answer is tried again with pauses
that double, for each entity; a member that the origin does not know as a recipient is answered as if there
were nothing.
"""
