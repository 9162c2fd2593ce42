"""Resellers: adding, changing, removing, credit, assigning, themes. What they paid: :mod:`core.payments`."""
