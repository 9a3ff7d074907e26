"""Traces as Arrow tables, written, read back and compared."""
