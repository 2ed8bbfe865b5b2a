"""Third-party stores, one component each."""
