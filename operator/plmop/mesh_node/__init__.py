"""MeshNode: one node of the mesh, its pod, its certificate, its registration. Read spec, manifests, plan, handlers."""
