"""Joining a league that runs: `hansa join D --from URL`.

inquiry    what members report of their league, and whether they report the same
candidacy  what a newcomer signs, for a member to propose
mark       the note in the folder of a newcomer: whom it asked, and what it trusts
joining    the folder of a newcomer
"""
