"""Leagues of real processes under stated perturbations, one TOML manifest a scenario.

A manifest (`manifests/*.toml`, read by `manifest`) names the members, the network between them, the load, and
what is done to whom at which time. `run` carries it out and judges: no acknowledged event is lost, no two
members have different blocks or application hashes at one height, nothing is on the ledger that nobody
submitted, and nobody is convicted who did no wrong. It prints how long the ledger took to go on after each
perturbation.

    PYTHONPATH=engine python -m tests.league.scenarios          the scenarios by name
    PYTHONPATH=engine python -m tests.league.scenarios NAME…    carry out some of them
"""
