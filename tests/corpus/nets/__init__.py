"""The network kinds that families vary."""
