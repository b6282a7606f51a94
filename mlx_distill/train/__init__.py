"""Training: conversations in, an adapter and its metrics out."""
