"""Stand-ins for the systems the panel talks to, as real HTTP servers on loopback; nothing of the product imports them."""
