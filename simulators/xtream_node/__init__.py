"""A simulated streaming server of an Xtream Codes site, in both dialects, and the main server's control service."""
