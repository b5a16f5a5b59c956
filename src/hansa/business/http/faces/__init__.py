"""Faces of the operations towards HTTP clients, one for each version of the APIs.

A face authenticates, reads a request, calls an operation and writes the answer as its version writes it.
"""
