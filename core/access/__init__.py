"""Who acts and what they may: actors, identity, permissions, login, audit. Users themselves are added in
:mod:`core.administration`."""
