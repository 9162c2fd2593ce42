"""The revisions, one module each, in the order of their ``down_revision``.

A new one is named ``rNNNN_what.py`` and has, as ``r0001_baseline`` shows: ``PROMISED`` (the new tables and
columns, by name), ``plan(connection)`` (what is missing of them) and ``upgrade()``, which begins with
``additive.run(plan)`` and may then fill what it added. A test fails while the models hold a column that no
revision promises.
"""
