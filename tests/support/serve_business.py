"""Serves a bare business application on a port.

`python -m tests.support.serve_business STORE [JSON_LINES …]`.

Loads the entities of the files first, through the API, and prints its origin when it is ready. The token is
`operator`.
"""

from __future__ import annotations

import socket
import sys
from contextlib import suppress
from pathlib import Path

import msgspec
import uvicorn
import uvloop

from hansa.core.clock import SystemClock
from tests.support.business import Business, open_business


async def load(business: Business, files: list[Path]) -> None:
    """Create the entity of every line."""
    for file in files:
        for line in file.read_bytes().splitlines():
            base, path = business.models.path_of(msgspec.json.decode(line)["@type"])
            answer = await business.operator.post(base + path, body=line)
            assert answer.status == 201, answer.body


async def main(store: Path, files: list[Path]) -> None:
    """Serve until interrupted."""
    with socket.socket(proto=socket.IPPROTO_TCP) as listening:  # so that the event loop sets TCP_NODELAY
        listening.bind(("127.0.0.1", 0))
        listening.listen()  # who reads the origin may connect at once, and waits until the server runs
        origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
        business = await open_business(store, clock=SystemClock(), endpoint=origin)
        await load(business, files)
        config = uvicorn.Config(business.app, log_level="warning", lifespan="off", access_log=False)
        server = uvicorn.Server(config)
        sys.stdout.write(f"{origin}\n")
        sys.stdout.flush()
        await server.serve(sockets=[listening])
        await business.store.close()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        uvloop.run(main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]))
