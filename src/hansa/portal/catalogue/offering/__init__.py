"""The page of one offering.

page              its context, made from the offering and what it refers to
prices            price plans, as a table and with a preview for quantities
characteristics   what it has, what can be chosen, and compliance labels
structured        the same for machines: schema.org
"""
