"""The tests, by the rooms of what they test; what they stand on is in :mod:`tests.worlds`."""

import gc

# nothing that is imported or collected is garbage, and without the collector it takes three quarters of the time; who
# is done with that enables it again
gc.disable()
