"""Models that were really trained, and what became of them: what the verdict is fitted to and judged by."""

from tests.corpus.store import Row, Run, load

__all__ = ["Row", "Run", "load"]
