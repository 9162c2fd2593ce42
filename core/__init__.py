"""The business: accounts, resellers, plans, ledger, portal. Knows no Flask, no request, no PHP."""
