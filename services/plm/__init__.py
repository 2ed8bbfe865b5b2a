"""Everything that serves traffic: domain rules, wire contract, transport, stores, and one package per service."""
