"""What a league trusts and allows, as the ledger records it: closed forms, decided by vote.

anchors       authorities whose certificates for seals the league accepts
certificates  of members' keys: verified once, when a key is registered
issuers       who may issue which credentials
policies      what may be published, by whom
changes       what members can vote on about these
"""
