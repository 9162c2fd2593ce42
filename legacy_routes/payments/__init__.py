"""What resellers paid and owe, and the receipts of it."""
