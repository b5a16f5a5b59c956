"""What makes an event readable for its recipients alone: key agreement, tags, encryption, padding.

agreement  keys of members for key agreement, and the secrets that two of them share
sealing    the sealed text of an event, and the bytes of the version that it announces
"""
