"""A simulated streaming server of an Xtream Codes site, in both dialects, and the main server's control service.
What the panel asks of it is core.xtream's."""
