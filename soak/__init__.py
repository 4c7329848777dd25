"""Long runs: whatever is repeated a great many times, nothing may grow. ``python -m soak`` runs it all."""
