"""What the node's own paths do, and the documents that describe all that is no TM Forum API."""
