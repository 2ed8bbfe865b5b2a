"""Commands are found wherever a page has them, and what a page cannot say is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.documentation import (
    Command,
    blocks,
    commands,
    hidden,
    mentions,
    without_comment,
)

PAGE = """
# A page

Type `plm status`, or:

```sh
plm status          # one screen; "all well" is what you want
plm pay A D 1.00 USD
# a line of talk

eval "$(plm stack env)"
image=$(kubectl get deployment ledger -o jsonpath='{..image}')
helm upgrade --install more charts/more \\
  --set image="$image"   # two lines
```

```text
you ─▶ plm pay ─▶ gateway
```

   ```sh
   plm verify ledger
   ```
"""


def texts(markdown: str) -> list[str]:
    return [command.text for command in commands("page.md", markdown)]


def test_every_line_of_a_shell_block_is_a_command() -> None:
    assert texts(PAGE) == [
        "plm status",
        "plm pay A D 1.00 USD",
        'eval "$(plm stack env)"',
        "image=$(kubectl get deployment ledger -o jsonpath='{..image}')",
        'helm upgrade --install more charts/more --set image="$image"',
        "plm verify ledger",
    ]


def test_a_command_knows_where_it_stands() -> None:
    assert commands("page.md", PAGE)[0] == Command("page.md", 7, "plm status")
    assert PAGE.splitlines()[commands("page.md", PAGE)[4].line - 1].startswith("helm upgrade")


def test_a_command_gets_what_its_own_block_has_set_up_and_nothing_else() -> None:
    found = {command.text: command.setup for command in commands("page.md", PAGE)}
    assert found["plm pay A D 1.00 USD"] == ()
    assert [text.split()[0] for text in found[texts(PAGE)[4]]] == [
        "eval",
        "image=$(kubectl",
    ]
    assert found["plm verify ledger"] == ()


def test_a_block_of_another_language_holds_no_command() -> None:
    assert texts("```text\nplm status\n```\n```\nplm status\n```") == []


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("plm logs gateway -f", "plm logs gateway -f"),
        ("plm down  # keeps the data; 'really'", "plm down"),
        ("# only talk", ""),
        ("echo '# no comment'", "echo '# no comment'"),
        ('echo "a \\" # b"  # c', 'echo "a \\" # b"'),
        ("echo a#b", "echo a#b"),
        ("echo it\\'s # c", "echo it\\'s"),
    ],
)
def test_a_comment_is_no_part_of_the_command(line: str, text: str) -> None:
    assert without_comment(line) == text


@pytest.mark.parametrize("line", ["echo 'a", 'echo "a # b', "cat <<END"])
def test_a_command_that_goes_on_behind_its_line_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"page.md:2: .*"):
        commands("page.md", f"```sh\n{line}\n```")


def test_a_fence_that_does_not_end_is_refused() -> None:
    with pytest.raises(ValueError, match="line 2 does not end"):
        blocks("```sh\nplm status\n")


@pytest.mark.parametrize(
    "line", ["plm status", "  $ make up", ".venv/bin/plm up", "kubectl get plm"]
)
def test_a_command_in_a_picture_is_seen(line: str) -> None:
    assert hidden(f"```\n{line}\n```") == [line.strip()]
    assert hidden(f"```sh\n{line}\n```") == []


@pytest.mark.parametrize("line", ["you ── plm pay A D ─▶", "plm pay ─▶ gateway", "makes up"])
def test_a_picture_is_no_command(line: str) -> None:
    assert hidden(f"```text\n{line}\n```") == []


def test_code_within_sentences_is_found_and_blocks_are_not() -> None:
    assert mentions("a `plm up`, | `a \\| b` |\n```sh\necho `plm down`\n```\n`c`") == [
        "plm up",
        "a | b",
        "c",
    ]


@given(
    st.lists(
        st.from_regex(r"[a-z]{1,8}( [a-z0-9-]{1,8}){0,3}", fullmatch=True), min_size=1, max_size=8
    )
)
def test_no_command_is_lost_whatever_surrounds_it(lines: list[str]) -> None:
    page = "talk\n".join(f"```sh\n{line}   # why\n\n```\n" for line in lines)
    assert texts(page) == lines
