"""Pure formulas from work and machine to seconds and bytes."""
