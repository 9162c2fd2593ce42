"""Plans, currencies, and the portal's tariffs. Which of them a reseller may sell: :mod:`legacy_routes.resellers`."""
