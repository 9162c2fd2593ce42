"""Memory that was freed goes back to the system, instead of staying with each thread that once had it.

Hashing a password takes 19 MiB for a moment. The C library learns from the first one to take such sizes from a thread's
own heap, which then keeps twice as much: with eight threads more than the rest of the process.
"""

import ctypes
from contextlib import suppress

# of malloc.h
_MMAP_THRESHOLD, _ARENAS = -3, -8
_BYTES, _MOST_ARENAS = 256 * 1024, 4


def return_freed_memory() -> None:
    """For this process, and those that it forks, from now on; nothing on systems with another C library."""
    with suppress(AttributeError, OSError, TypeError):
        set_option = ctypes.CDLL(None).mallopt
        # setting it ends the learning
        set_option(_MMAP_THRESHOLD, _BYTES)
        set_option(_ARENAS, _MOST_ARENAS)
