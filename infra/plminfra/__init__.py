"""The Pulumi program: stores, operator, services and edge as components. Knows nothing of our own code."""
