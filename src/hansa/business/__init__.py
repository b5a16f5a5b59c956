"""Marketplace Business: the TM Forum Open APIs on this marketplace's own store.

The first step of the life of one change: `http` receives `POST …/productOffering`; `operations` authorizes
it, has it checked by `validation` (the form of a body, from `models`) and `rules` (what TM Forum requires
beyond it), and hands it to the store. The last step: `hub` reads the store's feed and notifies registered
listeners.

    operations    what can be done with entities, without HTTP; pages and jobs call them too
    http          the face of the operations: version 4 of the APIs on the wire
    query         the query language of TMF630;   patches    the three forms of a patch
    models        compact models of the APIs, from which everything else follows
    validation    bodies against models;          rules      states, references, periods, money
    hub           notifications;                  jobs       import and export in the background
    openapi       the description of what is served

Loose modules are what several of these share: `context`, `served_resource`, `representation`, `visibility`.
"""

from hansa.business.app import BusinessApp

__all__ = ["BusinessApp"]
