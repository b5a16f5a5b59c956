"""One marketplace as a process: where everything is put together, started, watched and stopped.

`wiring` makes every object and says who knows whom; it is the one file to read for that. `serve` runs it:
`preflight` checks the machine, `folder` has the keys and the data, `children` are the ledger application and
the engine, `tasks` the publisher, follower, retriever, hub and jobs that run in the background. `settings` is
the only reader of the environment. `http` is the server; `status`, `metrics` and `logs` are what an operator
sees.
"""
