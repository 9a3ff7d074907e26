"""Scenarios: what a user asks, read from YAML into frozen records with spans."""
