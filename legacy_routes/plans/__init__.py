"""Plans, currencies, and the portal's tariffs."""
