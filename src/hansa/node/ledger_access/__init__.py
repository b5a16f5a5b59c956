"""How a marketplace reaches the ledger of its league (the setting `bus`).

    kinds         what the rest of the node has of either way
    following     a light member: no child process, several members that are followed

The other way, with an engine and a ledger application of its own, is `hansa.node.children`.
"""
