"""The `plm` command: tools, cluster, images, stack, demo, payments, verification."""
