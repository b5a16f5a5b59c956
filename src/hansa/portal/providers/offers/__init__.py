"""What an organisation offers here: its state, what keeps it from being published, and who has which version.

own            what the pages need of the own entities, and of changing them
launching      the conditions of publishing one, each with the page on which it is mended
orders         what the pages need of orders at which the organisation is the seller
dashboard, catalogue, entity, changes, order_pages   the pages
elsewhere/     own entities at other marketplaces, and their versions
routes         which page is at which path
"""
