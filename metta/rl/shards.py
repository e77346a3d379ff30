"""Work split over CPU threads: each thread owns a fixed range of streams and runs one-thread tensor operations.

Two threads that each do whole rollouts and whole backward passes on half of the streams keep two cores busier than one
thread whose every small operation is split in two (docs/diary.md). Python's lock is released inside torch and numba.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

import torch

from metta.base.allocator import keep_freed_memory

Item = TypeVar("Item")
Result = TypeVar("Result")


class Shards:
    """A pool of `threads` worker threads; with one, work runs in the caller. They have the caller's CUDA stream."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        keep_freed_memory()
        torch.set_num_threads(1)
        stream = torch.cuda.current_stream() if torch.cuda.is_initialized() else None

        def settle() -> None:
            torch.set_num_threads(1)
            if stream is not None:
                torch.cuda.set_stream(stream)

        self._pool = ThreadPoolExecutor(threads, "shard", initializer=settle) if threads > 1 else None

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """`function` of every item, in order; the first exception is raised after all have ended."""
        if self._pool is None:
            return [function(item) for item in items]
        futures = [self._pool.submit(function, item) for item in items]
        faults = [fault for future in futures if (fault := future.exception())]
        if faults:
            raise faults[0]
        return [future.result() for future in futures]

    def close(self) -> None:
        """End the worker threads."""
        if self._pool is not None:
            self._pool.shutdown()


def split(length: int, parts: int) -> list[tuple[int, int]]:
    """Nearly equal consecutive ranges (first, last + 1) that cover 0..length-1; empty ranges are left out."""
    bounds = [length * part // parts for part in range(parts + 1)]
    return [(low, high) for low, high in pairwise(bounds) if high > low]
