"""What an organisation offers here: its state, what keeps it from being published, and who has which version.

own            what the pages need of the own entities, and of changing them
launching      the conditions of publishing one, each with the page on which it is mended
sights         what the pages need of the league: members that hold a version, and versions on the ledger
orders         what the pages need of orders at which the organisation is the seller
differences    what differs between two versions, attribute by attribute
dashboard, catalogue, entity, changes, seen, versions, order_pages   the pages
routes         which page is at which path
"""
