"""HTTP as a face of the operations: messages, routing, conditional requests, and the cache of responses.

`routing` finds the resource and method of a path, `faces` reads the request and writes the response in the
form of one version of the APIs, `messages` are requests and responses before they are bytes.
"""
