"""Techniques applied to a graph: matching, merge laws, provenance."""
