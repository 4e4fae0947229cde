"""stub"""

from dataclasses import dataclass

from gradscope.predict._table import Table


@dataclass(frozen=True)
class Scores:
    queries: Table
    keys: Table
    factor: float = 1.0
    mask: object = None

    def scaled(self, f):
        return Scores(self.queries, self.keys, self.factor * f, self.mask)

    def masked(self, m):
        return Scores(self.queries, self.keys, self.factor, m)
