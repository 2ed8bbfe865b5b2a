"""The gateway: HTTP in, routes from memory, attempts over the mesh, receipts from the ledger."""
