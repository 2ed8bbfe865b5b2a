"""Logs, metrics and the plain HTTP port on which a process answers probes."""
