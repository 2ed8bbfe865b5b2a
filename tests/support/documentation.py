"""What the pages tell people to type, taken out of the Markdown; pure, so that no page can hide a command by its form.

Commands stand in fences of language `sh`, one to a line; a reader may paste one block into a fresh shell, so what a
command needs of its shell stands before it in the same block.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SHELL = "sh"
_FENCE = re.compile(r"```(\S*)$")
_PROGRAMS = "plm|make|kubectl|helm|pulumi|python|python3|pytest|docker|git|curl|eval|export|cd"
_COMMAND_LIKE = re.compile(rf"\s*(\$ )?(\.venv/bin/)?({_PROGRAMS})\s[\x20-\x7e]+$")
_SETUP = re.compile(r"""(eval|export|cd)\s|[A-Za-z_]\w*=("[^"]*"|'[^']*'|\$\(.*\)|\S*)$""")
_INLINE = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Block:
    """One fenced block. `line` is that of its first line of content."""

    language: str
    line: int
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Command:
    """One command as a person types it. `setup`: what stands before it in its block and changes the shell."""

    page: str
    line: int
    text: str
    setup: tuple[str, ...] = ()


def pages(root: Path) -> list[Path]:
    """Every page: the doors in the root first, then docs."""
    doors = [root / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    return [*doors, *sorted((root / "docs").rglob("*.md"))]


def blocks(markdown: str) -> list[Block]:
    """All fenced blocks. Raises ValueError for one that does not end."""
    found: list[Block] = []
    opened: tuple[str, int] | None = None
    content: list[str] = []
    for number, line in enumerate(markdown.splitlines(), start=1):
        fence = _FENCE.match(line.strip())
        if opened is None and fence:
            opened, content = (fence.group(1), number + 1), []
        elif opened is not None and line.strip() == "```":
            found.append(Block(*opened, tuple(content)))
            opened = None
        elif opened is not None:
            content.append(line)
    if opened is not None:
        raise ValueError(f"the fence before line {opened[1]} does not end")
    return found


def commands(page: str, markdown: str) -> list[Command]:
    """All commands of a page, in order. Raises ValueError for what this cannot read."""
    found: list[Command] = []
    for block in blocks(markdown):
        if block.language == SHELL:
            found += _commands_of(page, block)
    return found


def _commands_of(page: str, block: Block) -> Iterator[Command]:
    setup: list[str] = []
    for number, line in _logical_lines(block):
        try:
            text = without_comment(line)
        except ValueError as error:
            raise ValueError(f"{page}:{number}: {error}") from error
        if not text:
            continue
        yield Command(page, number, text, tuple(setup))
        if _SETUP.match(text):
            setup.append(text)


def _logical_lines(block: Block) -> Iterator[tuple[int, str]]:
    """Lines that end in a backslash go on in the next one."""
    parts: list[str] = []
    for number, line in enumerate(block.lines, start=block.line):
        parts.append(line.strip())
        if line.endswith("\\"):
            parts[-1] = parts[-1][:-1].rstrip()
            continue
        yield number - len(parts) + 1, " ".join(parts)
        parts = []
    if parts:
        yield block.line + len(block.lines) - len(parts), " ".join(parts)


def without_comment(line: str) -> str:
    """The command in a line. Raises ValueError where it goes on behind the line's end."""
    quote = ""
    for place, character in enumerate(line):
        before = line[place - 1] if place else " "
        if before == "\\":
            continue
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "#" and before.isspace():
            return line[:place].rstrip()
        elif line.startswith("<<", place):
            raise ValueError("a here-document is not for a page: name a file")
    if quote:
        raise ValueError(f"a quotation mark {quote} is not closed")
    return line.rstrip()


def hidden(markdown: str) -> list[str]:
    """Lines in blocks of any other language that look like commands all the same: nobody would run them."""
    return [
        line.strip()
        for block in blocks(markdown)
        if block.language != SHELL
        for line in block.lines
        if _COMMAND_LIKE.match(line)
    ]


def mentions(markdown: str) -> list[str]:
    """Code within sentences and tables, as it stands there."""
    found: list[str] = []
    inside = False
    for line in markdown.splitlines():
        if _FENCE.match(line.strip()):
            inside = not inside
        elif not inside:
            found += (text.replace("\\|", "|") for text in _INLINE.findall(line))
    return found
