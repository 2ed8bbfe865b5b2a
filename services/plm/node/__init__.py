"""The mesh node: prepares payments forward, confirms them backward, and posts or gives up its own."""
