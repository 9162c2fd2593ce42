"""Resellers, their accounts, credit, plans and themes. What they paid: :mod:`legacy_routes.payments`."""
