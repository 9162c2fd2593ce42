"""The list of accounts, kept encoded in blocks until what they show changes. How a row is worded is the routes'."""
