"""One client's connection: how its bytes become requests, and what it may hold of this process meanwhile.

    request_head   the grammar of a head, checked before anything else reads it
    chunked        the grammar of a body in chunks, and of its trailers
    receive_buffer where bytes are received, in parts of a bounded size
    base_connection what a connection is to its transport and to the registry
    protocol       the connection: bytes in, requests, responses out
    retained_fields the field lines of the request before
    registry       all connections: how many, how long, with how many bytes
    starts         how much is read, and how many requests begin, in one turn of the event loop

`Connections` and `RequestStarts` are shared by all connections of a server.
"""
