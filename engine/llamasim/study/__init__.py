"""Many scenarios: optimize."""
