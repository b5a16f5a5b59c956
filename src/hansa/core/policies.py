"""Policies: what an operator chooses where TM Forum leaves a choice.

Each is declared here once, with its values; the settings, their documentation and the parts that the policies
govern all take them from here. The first value is the default.
"""

from __future__ import annotations

from typing import Literal

UnknownAttributes = Literal["refuse", "keep"]
"""What becomes of an attribute that its type does not have."""
MissingAttributes = Literal["complete", "strict"]
"""What becomes of a body that leaves out an attribute which its document requires."""
UnknownExtensions = Literal["keep", "refuse"]
"""What becomes of a body that announces an extension whose schema is not registered."""
UnresolvedPolicy = Literal["warn", "refuse"]
"""What becomes of a write that refers to an entity which is not here."""
ItemStates = Literal["follow", "decide"]
"""What becomes of the items of an order that ends as a whole."""
DeletionPolicy = Literal["refuse", "warn"]
"""What becomes of the deletion of an entity that others refer to."""
FormerReplicas = Literal["retain", "drop"]
"""What becomes of the replicas of members that left the league or were removed."""
