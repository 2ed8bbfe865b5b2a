"""Go's text templates as far as our charts use them: `make check` sees what helm would render, where no helm is.

A test compares the outcome with helm's own. An action or a function that is not known here is an error, never a guess.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Function = Callable[..., Any]

_ACTION = re.compile(r"\{\{(- )?\s*(.*?)\s*( -)?\}\}", re.DOTALL)
_BLOCK = re.compile(r"(if|with|range|define)\b\s*(.*)", re.DOTALL)
_BINDING = re.compile(r"((?:\$\w+\s*,\s*)?\$\w+)\s*:=\s*(.*)", re.DOTALL)
_TOKEN = re.compile(
    r'\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<number>-?\d+)|(?P<path>\$?\w*(?:\.\w+)+|\$\w*|\.)'
    r"|(?P<word>\w+)|(?P<sign>[()|]))",
    re.DOTALL,
)
_NOTHING = object()


class TemplateError(Exception):
    """What helm would refuse, or what this module does not know."""


@dataclass
class _Block:
    """An action with a body: if, with, range or define; the file itself is one too."""

    kind: str
    expression: str
    body: list["str | _Block"] = field(default_factory=list)
    other: list["str | _Block"] = field(default_factory=list)


@dataclass(frozen=True)
class _Action:
    """What stands between braces, outside of blocks. Kept apart from text by its type."""

    text: str


def _pieces(source: str) -> Iterable[str | _Action]:
    """Text and actions in turn, with the white space gone that `{{-` and `-}}` eat."""
    position, eats = 0, False
    for found in _ACTION.finditer(source):
        text = source[position : found.start()]
        text = text.lstrip() if eats else text
        yield text.rstrip() if found[1] else text
        yield _Action(found[2])
        position, eats = found.end(), bool(found[3])
    yield source[position:].lstrip() if eats else source[position:]


def _parse(source: str) -> _Block:
    stack = [_Block("file", "")]
    target: list[list[Any]] = [stack[0].body]
    for piece in _pieces(source):
        text = piece.text if isinstance(piece, _Action) else ""
        if isinstance(piece, str):
            target[-1].append(piece)
        elif text.startswith("/*"):
            continue
        elif opened := _BLOCK.fullmatch(text):
            block = _Block(opened[1], opened[2])
            target[-1].append(block)
            stack.append(block)
            target.append(block.body)
        elif text == "else":
            target[-1] = stack[-1].other
        elif text == "end" and len(stack) > 1:
            stack.pop()
            target.pop()
        else:
            target[-1].append(_Block("action", text))
    if len(stack) != 1:
        raise TemplateError(f"{stack[-1].kind} {stack[-1].expression} has no end")
    return stack[0]


@dataclass
class Templates:
    """Files that share their named templates. `functions` are added to what is built in."""

    functions: Mapping[str, Function]
    named: dict[str, _Block] = field(default_factory=dict)

    def add(self, source: str) -> _Block:
        """Take in a file: what it defines is known to all from now on."""
        parsed = _parse(source)
        for block in parsed.body:
            if isinstance(block, _Block) and block.kind == "define":
                self.named[block.expression.strip('"')] = block
        return parsed

    def render(self, file: _Block, dot: Any) -> str:
        """The text of a file that was added."""
        return self._render(file.body, dot, {"$": dot})

    def include(self, name: str, dot: Any) -> str:
        """The text of a named template."""
        if name not in self.named:
            raise TemplateError(f"no template {name}")
        return self._render(self.named[name].body, dot, {"$": dot})

    def _render(self, nodes: list[Any], dot: Any, variables: dict[str, Any]) -> str:
        return "".join(
            node if isinstance(node, str) else self._block(node, dot, variables) for node in nodes
        )

    def _block(self, block: _Block, dot: Any, variables: dict[str, Any]) -> str:
        match block.kind:
            case "action":
                return self._action(block.expression, dot, variables)
            case "if":
                chosen = block.body if self.value(block.expression, dot, variables) else block.other
                return self._render(chosen, dot, dict(variables))
            case "with":
                value = self.value(block.expression, dot, variables)
                if value:
                    return self._render(block.body, value, dict(variables))
                return self._render(block.other, dot, dict(variables))
            case "range":
                return self._range(block, dot, variables)
            case _:  # a definition shows nothing where it stands
                return ""

    def _range(self, block: _Block, dot: Any, variables: dict[str, Any]) -> str:
        bound = _BINDING.fullmatch(block.expression)
        names = [name.strip() for name in bound[1].split(",")] if bound else []
        value = self.value(bound[2] if bound else block.expression, dot, variables) or []
        pairs = sorted(value.items()) if isinstance(value, Mapping) else list(enumerate(value))
        texts = []
        for key, each in pairs:
            inner = dict(zip(names, (key, each)[-len(names) :], strict=True)) if names else {}
            texts.append(self._render(block.body, each, {**variables, **inner}))
        return "".join(texts)

    def _action(self, text: str, dot: Any, variables: dict[str, Any]) -> str:
        if bound := _BINDING.fullmatch(text):
            variables[bound[1]] = self.value(bound[2], dot, variables)
            return ""
        return shown(self.value(text, dot, variables))

    def value(self, expression: str, dot: Any, variables: Mapping[str, Any]) -> Any:
        """What a pipeline comes to."""
        tokens = deque(_tokens(expression))
        found = _Reader(self, tokens, dot, variables).pipeline()
        if tokens:
            raise TemplateError(f"cannot read {expression!r} from {tokens[0][1]!r}")
        return found


def shown(value: Any) -> str:
    """As a template prints it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _tokens(expression: str) -> Iterable[tuple[str, str]]:
    position = 0
    while position < len(expression.rstrip()):
        found = _TOKEN.match(expression, position)
        if found is None or found.lastgroup is None:
            raise TemplateError(f"cannot read {expression!r} from {expression[position:]!r}")
        yield found.lastgroup, found[found.lastgroup]
        position = found.end()


@dataclass
class _Reader:
    """Reads one pipeline and does what it says."""

    templates: Templates
    tokens: deque[tuple[str, str]]
    dot: Any
    variables: Mapping[str, Any]

    def pipeline(self) -> Any:
        value = self._command(_NOTHING)
        while self.tokens and self.tokens[0] == ("sign", "|"):
            self.tokens.popleft()
            value = self._command(value)
        return value

    def _command(self, piped: Any) -> Any:
        if not self.tokens:
            raise TemplateError("an empty command")
        kind, head = self.tokens.popleft()
        called = self._function(head) if kind == "word" else None
        first = None if called else self._operand(kind, head)
        arguments = []
        while self.tokens and self.tokens[0] not in {("sign", "|"), ("sign", ")")}:
            arguments.append(self._operand(*self.tokens.popleft()))
        if piped is not _NOTHING:
            arguments.append(piped)
        if called is not None:
            return called(*arguments)
        return first(*arguments) if arguments and callable(first) else first

    def _operand(self, kind: str, text: str) -> Any:
        match kind, text:
            case "text", _:
                return text[1:-1].replace('\\"', '"').replace("\\n", "\n")
            case "number", _:
                return int(text)
            case "path", _:
                return self._lookup(text)
            case "sign", "(":
                value = self.pipeline()
                self.tokens.popleft()
                return value
        raise TemplateError(f"unexpected {text!r}")

    def _function(self, name: str) -> Function:
        if name == "include":
            return self.templates.include
        if name not in self.templates.functions:
            raise TemplateError(f"no function {name}")
        return self.templates.functions[name]

    def _lookup(self, path: str) -> Any:
        head, *names = path.split(".")
        if head and head not in self.variables:
            raise TemplateError(f"no variable {head}")
        value = self.variables[head] if head else self.dot
        for name in filter(None, names):
            if not isinstance(value, Mapping):
                raise TemplateError(f"{path}: nothing has a field {name} there")
            value = value.get(name)
        return value
