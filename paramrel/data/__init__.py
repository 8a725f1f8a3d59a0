"""Data sets by name, as any kind of data, whole or as a stream."""
