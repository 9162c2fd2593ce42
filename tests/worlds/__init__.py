"""The ground that tests stand on: served panels, databases, and data; no tests.

Which ground to take, the cheapest first (in seconds of a processor, the database server's included):

* **No database at all**: a pure rule gets a table of values.
* ``make_world("sqlite")``, or a fixture named ``sqlite_…`` or ``light_…``, for what no database can change;
  ``make_world(kind)`` with the fixture ``kind`` for what one can. Each test process has one database of each kind, made
  once, and keeps one served panel of each configuration on it; a test gets it emptied (0.01 s). So a second world of
  the same kind empties the first, ids go on counting, and who changes the structure of a world's database restores it.
  Each case of ``tests/routes`` meets one kind, in turn: mark ``every_kind`` a test that turns on locks, or one of whose
  statements no other test makes the panel send. Elsewhere cases meet all kinds, unless they differ by how a request is
  written (parameters ``encoding`` and ``prefix``) or are marked ``kinds_in_turn``. ``SHOWBOX_TEST_KINDS=all`` runs each
  on all.
* ``prepared_database(kind, name)`` of :mod:`tests.worlds.databases`: a database of one's own with our tables, copied
  from a mould (0.01 s; MariaDB copies nothing: 0.5 s). For tests with processes of their own, or with two panels.
* ``create_database(kind, name)``: an empty one, for tests of how tables come to be (0.3 s with tables).
* ``load_dump(url, DUMPS[version])``: a live panel's database as PHP left it, an extract with every odd value in it
  (0.1 s). ``whole=True`` gives all 5,000 accounts (0.4 s, and each look at them costs again): volume is for one test
  of each version and kind, and those stand already.

The servers of these databases are the run's own, in memory, where their programs are (:mod:`tests.worlds.servers`).

Name each database for its test file: a name is unique within a test process only. What a fixture makes is dropped at
the end of the process, unless it drops it before. Processes are started by :mod:`tests.worlds.forked` where they can
be, or by an interpreter of :mod:`tests.worlds.warm`: a fresh one takes two seconds of a processor for its imports.
"""
