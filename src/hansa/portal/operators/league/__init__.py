"""Pages about the league, for whoever operates the marketplace.

start   the state of the marketplace: what is wrong, what to do, and figures
routes  which page is at which path
"""

from hansa.portal.operators.league.routes import PATHS, LeaguePages, LeagueSources

__all__ = ["PATHS", "LeaguePages", "LeagueSources"]
