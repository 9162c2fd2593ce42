"""Moving a panel over: copying its database. Dumps as files: ``core.backup``."""
