"""The pages of the catalogue, for customers: find, judge and compare what the league offers.

routes        which page is at which path
reading       reads entities on behalf of whoever looks
fields        values of entities, which can be anything that the models allow
origins       where an entity comes from, and how it is proved
offering/     the page of one offering: prices, characteristics, structured data
details/      specifications, catalogues and prices, each with its offerings
pictures/     of offerings: fetched from members alone, decoded within bounds, encoded anew
search_page   hits and facets, which live in the URL
home          the front page
categories    the tree of categories
providers     who offers
comparison    some offerings side by side, and as a list of favourites
favourites    what whoever is logged in has marked
feeds         new offerings as Atom, all of them as a sitemap
"""
