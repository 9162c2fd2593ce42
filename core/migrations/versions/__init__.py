"""The revisions, one module each: a ``plan`` of additive changes and an ``upgrade`` that carries it out."""
