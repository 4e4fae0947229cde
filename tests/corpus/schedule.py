"""Which configuration is trained when, and by which process."""

from __future__ import annotations

import math
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait

import torch

from tests.corpus import store
from tests.corpus.config import Config, configs
from tests.corpus.train import train


def balanced(found: dict[str, Config]) -> list[str]:
    """Keys in an order in which every beginning holds the same share of each family."""
    families: dict[str, list[str]] = {}
    for key, config in found.items():
        families.setdefault(config.family, []).append(key)
    place = {key: (i + 0.5) / len(keys) for keys in families.values() for i, key in enumerate(spread(keys))}
    return sorted(place, key=lambda key: (place[key], key))


def spread(keys: list[str]) -> list[str]:
    """The same keys, neighbours far apart."""
    stride = next(s for s in range(max(2, int(0.618 * len(keys))), 2 * len(keys) + 2) if math.gcd(s, len(keys)) == 1)
    return [keys[i * stride % len(keys)] for i in range(len(keys))]


def _train(key: str) -> bytes:
    torch.set_num_threads(1)
    return store.encode(train(configs()[key]))


def train_all(keys: list[str], workers: int, seconds: float) -> Iterator[bytes]:
    """Lines as they finish; none is begun after the time limit."""
    end = time.monotonic() + seconds
    queue = iter(keys)
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        running: set[Future[bytes]] = set()
        while True:
            while len(running) < workers and time.monotonic() < end and (key := next(queue, None)):
                running.add(pool.submit(_train, key))
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
