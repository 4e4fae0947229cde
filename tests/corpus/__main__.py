"""`python -m tests.corpus`: train what is not stored yet, then write the outcomes and the report."""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Container
from fnmatch import fnmatch
from pathlib import Path

from tests.corpus import report, store
from tests.corpus.config import configs
from tests.corpus.schedule import balanced, train_all
from tests.corpus.store import Row

PROGRESS = Path(__file__).parents[2] / "build" / "corpus"
"""Finished configurations wait here, one file a shard, until they are merged: an interrupted run loses nothing."""


def finished(found: Container[str]) -> dict[str, Row]:
    """The outcomes of these configurations that are known: stored, or waiting to be merged."""
    rows = {row.key: row for row in store.load()} if store.OUTCOMES.exists() else {}
    for path in sorted(PROGRESS.glob("*.jsonl")):
        rows |= {row.key: row for row in store.decode(path.read_bytes().splitlines())}
    return {key: row for key, row in rows.items() if key in found}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.corpus", description=__doc__)
    parser.add_argument("--workers", type=int, default=multiprocessing.cpu_count(), help="processes of one thread each")
    parser.add_argument("--shard", default="1/1", help="I/N: only every N-th configuration, from the I-th")
    parser.add_argument("--only", default="*", help="shell pattern of keys, e.g. 'recurrent/*'")
    parser.add_argument("--again", action="store_true", help="train those that are stored too")
    parser.add_argument("--time-limit", type=float, default=float("inf"), help="seconds after which none is begun")
    options = parser.parse_args()

    found = configs()
    PROGRESS.mkdir(parents=True, exist_ok=True)
    rows = finished(found)
    index, shards = (int(part) for part in options.shard.split("/"))
    shard = balanced(found)[index - 1 :: shards]
    wanted = [key for key in shard if fnmatch(key, options.only) and (options.again or key not in rows)]
    began = time.monotonic()
    with (PROGRESS / f"{index}-of-{shards}.jsonl").open("ab", buffering=0) as file:
        for n, line in enumerate(train_all(wanted, options.workers, options.time_limit), 1):
            file.write(line + b"\n")
            [row] = store.decode([line])
            rows[row.key] = row
            print(f"{n}/{len(wanted)} {time.monotonic() - began:.0f}s {row.key}", flush=True)
    if shards == 1:  # shards run side by side: the last step is a run without them
        store.save(rows.values())
        report.write(store.load())


if __name__ == "__main__":
    main()
