"""The rules language: parse, check, format, evaluate."""
