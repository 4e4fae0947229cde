"""One family of configurations a file; see `tests.corpus.config.FAMILIES`."""
