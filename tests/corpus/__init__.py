"""Models that were really trained, and what became of them: what the verdict is fitted to and judged by.

`load()` gives the stored outcomes, `labels.label(row)` what they mean, `config.configs()[row.key].build()` the model
again, and `split.role(row)` whether a row may be fitted to.
"""

from tests.corpus.store import Row, Run, load

__all__ = ["Row", "Run", "load"]
