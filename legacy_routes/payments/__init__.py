"""What resellers paid and owe, and the receipts of it. Credit and its rows: :mod:`legacy_routes.resellers`,
:mod:`legacy_routes.ledger`."""
