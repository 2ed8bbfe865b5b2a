"""Programs that a test puts on PATH in place of real ones: shell scripts in a folder of their own."""

from pathlib import Path

# `go list` tells one package; `go build` writes what it was asked for, one file per package into a folder.
GO = """
case "$1" in
  env) echo go1.26.8 ;;
  list) case "$*" in *-json*) echo '{"Dir": "'"$PLM_TEST_MODULE"'"}' ;; *) echo example ;; esac ;;
  build)
    echo "example/compiled" >&2
    while [ "$1" != -o ]; do shift; done
    target=$2; shift 2
    case "$target" in
      */) for package; do echo "$package" > "$target$(basename "$package")"; done ;;
      *) echo "$1" > "$target" ;;
    esac ;;
esac
"""


def put(folder: Path, name: str, script: str) -> Path:
    """An executable shell script."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path
