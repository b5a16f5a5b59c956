"""How providers write what they offer: forms as steps of a wizard, drafts and preview.

Everything works without script. A form is a `FormKind`; what somebody types is `Values`, texts by the name of
a field; a builder makes an entity of them, and says which place of the entity comes from which field, so that
what the operations of the APIs refuse stands beside the field that it is about.

forms/       entity to texts of a form and back
faults       refusals, by field
choosing     what an offering can refer to
comparing    two versions of an entity, field by field
interfaces   what the pages need of the marketplace
guarding     forms that survive the end of a session
pages        what the pages show
wizard       the pages of the forms
preview      how customers will see it
visibility   who sees an entity
importing/   files: JSON Lines, and CSV whose columns are mapped
"""
