"""Audit the sample models and write what a user sees: a text, a JSON and a line of the index for each.

python reports/make_reports.py                all of them
python reports/make_reports.py lstm gpt2      some; the index keeps the lines of the others
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # configurations are enough, and nothing is downloaded

from gradscope.config import Config
from gradscope.pipeline import Options, Request, analyze_target
from gradscope.report import render, write

FOLDER = Path(__file__).parent
WIDTH = 100
HEAD = """\
# Sample audits

Written by `make reports`. The models are in `samples/`, or built by transformers from a default configuration;
the data is real: digits of scikit-learn, text of Python's own manual. Losses are means over seeds after the short
training that each remedy is tried in, at the best of several learning rates, with the untouched model beside it.

| model | verdict | risk | findings | best remedy | loss untouched | loss with it | audit |
|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Sample:
    """A model and the verdict it must get."""

    target: str
    label: str


SAMPLES = {
    "tanh_30": Sample("samples/tanh_30.py", "vanishing"),
    "relu_20_large_init": Sample("samples/relu_20_large_init.py", "exploding"),
    "sigmoid_12": Sample("samples/sigmoid_12.py", "vanishing"),
    "residual_no_norm": Sample("samples/residual_no_norm.py", "exploding"),
    "resnet_18": Sample("samples/resnet_18.py", "healthy"),
    "lstm": Sample("samples/lstm.py", "healthy"),
    "gpt2": Sample("hf:gpt2", "healthy"),
    "vit": Sample("hf:vit", "healthy"),
}


def audit(name: str) -> bool:
    """Write one audit; whether the verdict is the expected one."""
    sample = SAMPLES[name]
    print(f"{name} ...", end=" ", flush=True)
    report = analyze_target(Request(sample.target, Options(Config(timeout=3600.0))))
    write(FOLDER / f"{name}.txt", render(report, "terminal", width=WIDTH))
    write(FOLDER / f"{name}.json", render(report, "json"))
    is_expected = report.verdict.label == sample.label
    print(report.verdict.label, "" if is_expected else f"(expected: {sample.label})")
    return is_expected


def index() -> str:
    """A row for every audit that is there, and a link to every other table by its title."""
    rows = [_row(name) for name in SAMPLES if (FOLDER / f"{name}.json").exists()]
    pages = sorted(path for path in FOLDER.rglob("*.md") if path.name != "README.md")
    links = [f"- [{_title(page)}]({page.relative_to(FOLDER).as_posix()})\n" for page in pages]
    return HEAD + "".join(rows) + "\n## Other tables\n\n" + "".join(links)


def _title(page: Path) -> str:
    return page.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")


def _row(name: str) -> str:
    document = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    verdict, target = document["verdict"], document["subject"]["target"].partition(":make_model")[0]
    best = next((v for v in document["verifications"] if v["accepted"]), None)
    losses = [f"{best[key]['final_loss']['value']:.3g}" if best and best[key] else "" for key in ("untouched", "trial")]
    cells = [
        f"`{target}`",
        verdict["label"],
        f"{verdict['risk']:.2f}",
        " ".join(sorted({finding["code"] for finding in document["findings"]})),
        best["remedy"] if best else "",
        *losses,
        f"[text]({name}.txt), [JSON]({name}.json)",
    ]
    return f"| {' | '.join(cells)} |\n"


def main() -> int:
    """Audit the named samples, or all; 1 if a verdict is not the expected one."""
    names = sys.argv[1:] or list(SAMPLES)
    unknown = set(names) - SAMPLES.keys()
    if unknown:
        print(f"no sample {', '.join(sorted(unknown))}; there are {', '.join(SAMPLES)}", file=sys.stderr)
        return 2
    os.chdir(FOLDER)  # so that the audits name the samples as `samples/...`
    verdicts = [audit(name) for name in names]
    write(FOLDER / "README.md", index())
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
