"""Group commit: many coroutines write, one commit makes them durable.

Transactions run one after the other on the one writing connection (`write_lock`). The first of a *commit
group* begins the SQLite transaction; what other coroutines write joins it, until a turn of the event loop
passes in which nobody has joined, or the group is full; then it is committed, with the counts that the whole
group changed (`writer`). Every member of the group is released after that commit, or gets its error. With
`synchronous=FULL` the commit is where the disk is waited for, so under load the wait is shared. The commit of
more than a few members is done by a `thread`: meanwhile the loop reads, checks and answers other requests,
and the transactions that wait for the write lock acquire it together as soon as the thread has finished. That
is why a group is full at a number that many clients reach: half of them are prepared while the other half is
committed. Handing a small group to the thread would take longer than its commit.

A create under an identifier made just now needs nothing from SQLite until the commit. So it waits for no
lock: it *joins* the open group, even while the group before is being committed, or while a transaction runs.
Its numbers are allocated and it becomes a member within one step of the loop; so whatever is committed later
has higher numbers in the feed, and a reader of the feed misses nothing. A group of which SQLite knows nothing
when it is committed consists of creates, and is one statement (`added_rows`): the thread runs it without the
interpreter, and the loop goes on. When it fails, nothing is written; the loop inserts the members one by one
then, so that whoever is the reason leaves the group with its error.

A member that fails takes no other with it. There is no savepoint for that: SQLite would copy every page that
a transaction touches, which costs as much as the writing itself, and a transaction that has written hardly
ever fails. Instead each member records its statements (`group.Changes`). Rows that it inserts are deferred
and inserted together; when it fails before that, they are left out. When it fails after SQLite has written
for it, the whole group is rolled back and the statements of the others are replayed in their order: on the
same state, by the only writer, they do the same.

States of the writer: *idle* (no group), *open* (a group without a running transaction: its commit is
scheduled unless it grows), *running* (a transaction, or the commit in its thread, holds the write lock;
others queue for it). While a group is committed, the next one is already open to creates; SQLite begins it
when the connection is free. A transaction that waits for something else than the store while it runs holds up
every other: its body should not.

Failure: an error of SQLite within a transaction undoes that transaction. When SQLite has thereby rolled back
the whole group (it does when the disk is full), the others' statements are replayed too; when that fails, the
whole group gets the error. No write is reported as durable before the commit has returned. A refusal that
rests on what others of the group wrote is none before that either: when the group is undone, whoever was
refused gets its error.

A commit appends to the write-ahead log; `checkpoints` copies it into the database beside the event loop.
"""
