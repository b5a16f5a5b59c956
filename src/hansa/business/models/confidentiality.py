"""The types whose entities go to the operators of their parties, and to nobody else.

None of them is a catalogue type. All other types that are not are private: their entities stay here.
"""

from __future__ import annotations

from typing import Final

CONFIDENTIAL_TYPES: Final = frozenset(
    {
        *("ProductOrder", "ServiceOrder", "ResourceOrder"),
        *("Quote", "Agreement"),
        *("Product", "Service", "Resource"),
        *("Usage", "CustomerBill", "AppliedCustomerBillingRate"),
        *("BillingAccount", "PartyAccount", "FinancialAccount", "SettlementAccount"),
    }
)
"""Orders, quotes and agreements; inventory; usage and bills; accounts."""
