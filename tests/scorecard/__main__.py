"""`python -m tests.scorecard`: examine what the corpus trained, fit the verdict to it, judge, and write the page."""

from __future__ import annotations

import argparse
import time

from tests.corpus import load
from tests.corpus.config import configs
from tests.scorecard import features, model, report
from tests.scorecard.extract import seen


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.scorecard", description=__doc__)
    parser.add_argument("--stored", action="store_true", help="use the stored features; examine nothing")
    options = parser.parse_args()

    rows = load()
    if not options.stored:
        found, began = configs(), time.monotonic()
        for n, row in enumerate(rows, 1):
            seen(found[row.key])
            if n % 50 == 0:
                print(f"{n}/{len(rows)} {time.monotonic() - began:.0f}s", flush=True)
        features.save(features.collect(found, (row.key for row in rows)))
    samples = features.load()
    fitted = model.build(samples, rows)
    model.write(fitted)
    report.write(samples, rows, fitted)
    print(f"{model.COEFFICIENTS}\n{report.PAGE}")


if __name__ == "__main__":
    main()
