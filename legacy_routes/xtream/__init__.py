"""The Xtream Codes admin API, on one path of its own. Subscribers of the portal: :mod:`legacy_routes.accounts`."""
