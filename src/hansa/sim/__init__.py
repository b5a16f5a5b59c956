"""The simulator: a league in one process, from one number, that tries to break replication.

    python -m hansa.sim --seeds 200        200 leagues, each with a history of its own
    python -m hansa.sim --seed 17          one of them, once more

A *seed* decides everything: who is in the league, what happens in which order, what the network and the disks
do, and every random number that the members draw. So a run that fails fails again, byte for byte. The
members run the production code of replication, of the TM Forum APIs and of the ledger; the simulator has only
what is outside of them:

    plan         from a seed to the steps of a history
    world        time, network, ledger and disks, with their faults
    members      marketplaces that can crash anywhere, and one that lies
    workload     carries out the steps
    oracle       what should be where, worked out without the code under test
    checking     compares, at every step and when everything is quiet
    running      one plan, to its outcome
    shrinking    the smallest plan that still fails
    campaign     many seeds, in several processes

Time stands still while anything can run, and jumps to the next timer when nothing can, so that days cost
milliseconds.
"""
