"""What an offering can refer to: categories, and the specifications and prices of whoever writes it."""

from __future__ import annotations

from hansa.core.access import Caller
from hansa.portal.catalogue.categories import category_tree
from hansa.portal.catalogue.fields import Fields, fields_in, items_in
from hansa.portal.catalogue.reading import PRICE, SPECIFICATION, CatalogueReads
from hansa.portal.providers.editing.forms.kinds import OFFERING_FORM, FormKind
from hansa.portal.providers.editing.interfaces import EditedEntities
from hansa.portal.providers.editing.pages import ReferenceChoices, choices_of, flat


class OfferedChoices:
    """Looks it up.

    Args:
        reads: The catalogue.
        entities: Those of a provider.
    """

    def __init__(self, reads: CatalogueReads, entities: EditedEntities) -> None:
        self._reads = reads
        self._entities = entities

    async def of(self, caller: Caller, kind: FormKind, base: Fields) -> ReferenceChoices:
        """What a form offers to choose from; of other forms than those of an offering, nothing.

        Args:
            caller: Who fills it in.
            kind: Of the form.
            base: What the form began with, which may refer to what is somebody else's.
        """
        if kind is not OFFERING_FORM:
            return ReferenceChoices()
        tree = await category_tree(self._reads, caller)
        specification = fields_in(base, "productSpecification")
        return ReferenceChoices(
            tuple(flat(tree.roots)),
            choices_of(
                await self._entities.offered(caller, SPECIFICATION),
                (specification,) if specification else (),
            ),
            choices_of(await self._entities.offered(caller, PRICE), items_in(base, "productOfferingPrice")),
        )
