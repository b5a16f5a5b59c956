"""Hansa: a league of marketplaces with one shared, verified catalogue.

A package for each layer, from the top; each imports from those below it alone. On the right, its part in the
life of one change, from the marketplace where it is made to all others:

    cli           the command line
    node          one marketplace as a process       wires the layers together
    portal        web pages                          9  shows the replica with its origin
    api           `/league/v1`                       6  at the origin: serves the entity to other members
    business      the TM Forum APIs                  1  accepts the change; 9  notifies listeners
    replication   catalogue replication              3  publishes; 5  follows; 6  retrieves; 7  verifies
    identity      who calls                          6  signs and verifies requests between members
    pubsub        the bus: ledger and engine         4  validates and orders the event
    client        a client of the league             follows, verifies and reconnects
    store         the catalogue store                2  commits the change; 8  commits the replica
    core          what all layers share

The docstring of each package says where in it that happens.
"""

__version__ = "0.1.0"
