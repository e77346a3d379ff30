"""Several runs at once in one process: a thread for each, and on a GPU a queue of work (CUDA stream) for each.

Processes take turns on a GPU; queues of one process share it at the same time. A run of recordings
(`metta.rl.recording`) hardly needs Python's lock, so threads do not wait for each other either.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import torch

from metta.rl.config import RunConfig
from metta.rl.metrics import Progress
from metta.rl.trainer import train


def train_together(
    runs: Sequence[tuple[RunConfig, Path]],
    at_once: int,
    on_update: Callable[[int, Progress], None] = lambda index, progress: None,
) -> list[Exception | None]:
    """Train every run in its folder, in order, so many at a time; each has the numbers that it has alone.

    Args:
        runs: configurations with folders that exist, all different.
        at_once: runs at a time, at least 1; on a GPU at most 16, so that no two share a queue.
        on_update: called after every update, from the run's thread, with its place in `runs` and its progress.

    Returns:
        for every run what ended it early, or None. A run that fails leaves the others alone.
    """
    stopped = Event()

    def train_one(index: int) -> Exception | None:
        config, folder = runs[index]

        def tell(progress: Progress) -> None:
            if stopped.is_set():
                raise KeyboardInterrupt
            on_update(index, progress)

        try:
            train(config, folder, tell)
        except Exception as fault:
            return fault
        return None

    with ThreadPoolExecutor(at_once, "run", initializer=_take_a_queue) as pool:
        futures = [pool.submit(train_one, index) for index in range(len(runs))]
        try:
            return [future.result() for future in futures]
        except BaseException:
            stopped.set()
            pool.shutdown(cancel_futures=True)
            raise


def _take_a_queue() -> None:
    """Give this thread a CUDA stream of its own, if there is a GPU."""
    if torch.cuda.is_available():
        torch.cuda.set_stream(torch.cuda.Stream())
