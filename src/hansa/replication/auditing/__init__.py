"""The audit log beside what it tells of: what is served is gathered, and the log is anchored and pruned.

    outcomes    what became of many events in one transaction
    notes       what is served, refused and forwarded
    anchoring   announces the newest hash of the log, and removes old records
    losses      notices on the ledger that the log was continued from an older backup

Most records are appended where something happens, in its own transaction (`hansa.store.tables.audit`), one
for a whole batch or page. Serving writes nothing, so that what was served is gathered in memory and appended
now and then. An anchor is a version of an entity that exists on the ledger alone (`hansa.core.audit.Anchor`):
its hashlink commits to the log, and nothing has to be added to the rules of the ledger for it.
"""
