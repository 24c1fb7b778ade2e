"""Where the memory of a hash lies: on large pages, where the system gives them to those who ask for them.

A hash goes through its memory in no order, and each page of 4 KiB that it comes to has to be looked up. Argon2
overwrites that memory before it frees it, and glibc keeps it for the next hash of the thread, which so asks once.
"""

import ctypes
import mmap
import os
from contextlib import suppress

LARGEST_KEPT = 32 * 2**20  # bytes; glibc gives more back to the system each time (mallopt(3), M_MMAP_THRESHOLD)


def ask_for_large_pages(size: int) -> None:
    """Ask that blocks of so many bytes, which this thread allocates one after the other, get large pages.

    It is advice (madvise(2), MADV_HUGEPAGE), which may be of no use, and changes nothing else. It costs no memory: the
    block is not written to.
    """
    with suppress(AttributeError, OSError, ValueError):  # another system, or another library than glibc
        if os.confstr("CS_GNU_LIBC_VERSION") and size <= LARGEST_KEPT:
            _advise(size, mmap.MADV_HUGEPAGE)


def _advise(size: int, advice: int) -> None:
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    library.malloc.argtypes = (ctypes.c_size_t,)
    library.free.argtypes = (ctypes.c_void_p,)
    library.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    library.free(library.malloc(size))  # the first block of this size is mapped alone; from then on they are kept
    if block := library.malloc(size):
        first, end = -(-block // mmap.PAGESIZE) * mmap.PAGESIZE, (block + size) // mmap.PAGESIZE * mmap.PAGESIZE
        library.madvise(first, end - first, advice)
        library.free(block)
