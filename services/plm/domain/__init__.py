"""Pure types and rules. No I/O, no clock, no randomness: those come in as arguments."""
