"""What resellers paid and owe: payments, balances, invoices, receipts, and the proof of the ledger. Balances move in
:mod:`core.ledger` alone."""
