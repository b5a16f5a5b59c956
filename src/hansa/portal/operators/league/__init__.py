"""Pages about the league, for whoever operates the marketplace.

routes       which page is at which path
start        the state of the marketplace: what is wrong, what to do, and figures
members      the members and one of them: pause, resume, retry, notes
league_map   the members as a picture
events       the events of the league, and one of them with its proof
validators   whose votes are in the latest blocks
proposals    what the members decide: votes, and new proposals
replication  what of other members is not here, and why
"""

from hansa.portal.operators.league.routes import PATHS, LeaguePages, LeagueSources

__all__ = ["PATHS", "LeaguePages", "LeagueSources"]
