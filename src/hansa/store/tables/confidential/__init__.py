"""The rows of confidential entities.

announced  own entities: for whom each was announced last, the encrypted bytes, and the events under way
received   entities of other members: the newest version that was announced to this marketplace, and its state
"""
