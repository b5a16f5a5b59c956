"""The domain tables: rows that other layers keep in the store, in the same transactions as the entities.

    publications     what was published: outbox and version chains   (replication.publisher)
    announced        bytes of announced versions of own entities      (replication.publisher)
    heads            the state of every entity key of other members  (replication.follower, retriever, intake)
    origins          how the other members stand with this one       (replication.follower, retriever, intake)
    evidence         what other members sent that was not valid      (replication.follower, intake)
    facts            what holds of the store as a whole              (replication)
    subscriptions    hub registrations, their cursors, dead letters  (business.hub)
    jobs             import and export jobs                          (business.jobs)
    writes           writes that are repeated, and forwarded         (business, api, replication)
    audit            the audit log                                   (replication, api)

Steps 3, 5 and 8 of the life of one change are durable here: a cursor moves in the transaction that stores
what was read up to it.
"""
