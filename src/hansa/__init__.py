"""Hansa: a league of marketplaces with one shared, verified catalogue.

A package for each layer, from the top; each imports from those below it alone. On the right, what it does
with a change on its way from one marketplace to the others (ARCHITECTURE.md tells all of it):

    cli           the command line
    node          one marketplace as a process       wires the layers together
    portal        web pages
    api           `/league/v1`                       serves entities to other members
    business      the TM Forum APIs                  accepts changes, notifies listeners
    replication   catalogue replication              publishes, follows, retrieves, verifies
    identity      who is who                         signs and checks requests between members
    pubsub        the bus: ledger and engine         orders events
    store         the catalogue store                commits changes and replicas, with a feed of them
    core          what all layers share
"""

__version__ = "0.1.0"
