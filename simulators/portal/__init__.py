"""The Stalker/Ministra portal's REST API v1 without sockets: state, columns, resources, routing (contract chapter 90)."""
