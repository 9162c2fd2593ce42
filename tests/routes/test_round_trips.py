"""How often each of the pages' usual requests asks the database (issue 14, line 3), told by the packets themselves."""
