"""The mesh of fifty nodes in the chart's values is the one that its seed makes."""

from plmkit import mesh_values


def test_the_committed_file_equals_a_fresh_generation() -> None:
    assert mesh_values.PATH.read_text() == mesh_values.render(), "run: make generate"


def test_a_seed_makes_one_mesh_and_another_seed_another() -> None:
    """Else every run of `make generate` would change the file, or the seed would mean nothing."""
    assert mesh_values.make_mesh(1) == mesh_values.make_mesh(1)
    assert mesh_values.make_mesh(1) != mesh_values.make_mesh(2)
