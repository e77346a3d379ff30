"""The C library's allocator, told to keep freed memory: fresh pages are what large temporary arrays cost most.

By default glibc gives every large array pages of its own and hands them back when the array is freed, so that each
step of a training loop faults in the same megabytes again; measured here that was a third of the time of acting with
a transformer memory, and half of a 33 MB matrix product.
"""

import ctypes

M_TRIM_THRESHOLD = -1
M_TOP_PAD = -2
M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8

LARGEST_KEPT = 32 * 2**20
"""Bytes up to which glibc lets arrays come from its heap (its own limit)."""


def keep_freed_memory() -> bool:
    """Reuse freed memory instead of giving it back to the system, in all threads, from now on.

    Call once, before the threads that work start. Returns False, having done nothing, where the C library has no
    `mallopt` (macOS, musl).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = ((M_MMAP_THRESHOLD, LARGEST_KEPT), (M_TRIM_THRESHOLD, 2**31 - 1), (M_TOP_PAD, 2**26), (M_ARENA_MAX, 1))
    return all(mallopt(parameter, value) == 1 for parameter, value in settings)
