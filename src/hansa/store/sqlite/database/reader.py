"""The connection that reads what is committed, on the event loop.

Between two commit groups nothing changes, so reads share one view of the file, which spares two system calls
each. During a group each read has its own view: the write-ahead log cannot begin anew while somebody holds a
view of it.
"""

from __future__ import annotations

from pathlib import Path

import apsw

from hansa.core.errors import Code, Unavailable
from hansa.store.sql import Parameter, Row
from hansa.store.sqlite.database.connection import as_ours, connect


class Reader:
    """Runs SQL that reads: `fetch` for the domain tables (`SqlRead`), `rows` for the store itself."""

    def __init__(self, path: Path) -> None:
        self.connection = connect(path, "reading")
        self._path = str(path)
        self._may_share = False
        self._is_shared = False

    async def fetch(self, sql: str, parameters: tuple[Parameter, ...] = ()) -> list[Row]:
        """The rows of a SELECT; does not suspend.

        Raises:
            Unavailable: the file cannot be read.
            Fatal: the file is damaged.
        """
        return self.rows(sql, parameters)

    def rows(self, sql: str, parameters: tuple[Parameter, ...] = ()) -> list[Row]:
        """The same, at once."""
        try:
            if self._may_share and not self._is_shared:
                self.connection.execute("BEGIN")
                self._is_shared = True
            return self.connection.execute(sql, parameters).fetchall()
        except apsw.IOError as error:
            raise Unavailable(Code.UNAVAILABLE, "The catalogue store cannot be read.", 30.0) from error
        except apsw.Error as error:
            raise as_ours(error, self._path) from error

    def share_view(self) -> None:
        """No group is open: reads share a view from now on."""
        assert not self._is_shared, "the view before was released when the group began"
        self._may_share = True

    def release_view(self) -> None:
        """A group begins: end the view that reads share."""
        self._may_share = self._is_shared = False
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()
