"""The ground that tests stand on: served panels, databases, and data; no tests."""
