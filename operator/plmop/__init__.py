"""The operator: custom resources in, Kubernetes objects and ledger registrations out, level-triggered."""
