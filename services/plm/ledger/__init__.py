"""The ledger service: one group-commit writer, reads beside it, an outbox, and the gRPC server in front."""
