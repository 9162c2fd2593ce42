"""The Xtream Codes admin API, on one path of its own."""
