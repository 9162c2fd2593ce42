"""Stand-ins for the systems that the panel talks to, as real HTTP servers; nothing of the product imports them."""
