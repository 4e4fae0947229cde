"""`python -m tests.benchmarks [NAME ...]`: run the long measurements, all of them unless some are named."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import tests.benchmarks as here


def main() -> None:
    """Every public file of this folder is a benchmark with a `main`."""
    known = [m.name for m in pkgutil.iter_modules(here.__path__) if not m.name.startswith("_")]
    wanted, sys.argv = sys.argv[1:] or known, sys.argv[:1]
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        sys.exit(f"no benchmark {', '.join(unknown)}; there are {', '.join(known)}")
    for name in wanted:
        print(f"# {name}", flush=True)
        importlib.import_module(f"tests.benchmarks.{name}").main()


if __name__ == "__main__":
    main()
