"""Mutual TLS and gRPC plumbing that services and operator share: credentials that rotate, channels, peer identity."""
