"""Numbered SQL files into a database: forward only, checksummed, under a lock, without effect the second time."""
