"""The Stalker/Ministra portal's REST API v1 (contract chapter 90), without sockets. Its sockets and faults:
:mod:`simulators.stalker`."""
