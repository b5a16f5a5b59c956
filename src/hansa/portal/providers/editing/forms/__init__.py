"""What stands in a form: an entity becomes texts by the names of fields, and these an entity again.

kinds       which forms there are, with their steps and fields
values      texts of a form, and rows of fields
specifications, prices, offerings   entity to values and back
building    the same by kind; what of an entity changes
"""
