"""What becomes of freed memory in a training on CPUs.

A step frees and takes gigabytes in pieces of some ten megabytes. The C library gives such pieces
back to the system and has every page of the next one cleared: 950,000 pages and a seventh of the
time of a step at base size (288 pixels, 8 pairs), which then runs with 4. Kept, they cost 3 % more
memory.
"""

from __future__ import annotations

import ctypes

# names and numbers of glibc's malloc.h; -1 is for never
OPTIONS = {"M_TRIM_THRESHOLD": (-1, -1), "M_MMAP_THRESHOLD": (-3, 2**31 - 1)}


def keep_freed_memory() -> bool:
    """Let this process, and those that it forks, keep freed memory for what comes next.

    Gives whether the C library takes that wish (glibc does; others go on as they are).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return all(mallopt(number, value) == 1 for number, value in OPTIONS.values())
