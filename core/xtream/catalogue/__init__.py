"""Filling and listing our own Xtream tables from the command line; what the API does with them is beside this room."""
