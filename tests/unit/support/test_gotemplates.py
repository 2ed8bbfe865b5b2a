"""Templates without helm: what they make of white space, scopes and values, and that nothing unknown is guessed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import paper_charts
from support.gotemplates import TemplateError, Templates

NESTED = st.recursive(
    st.one_of(st.integers(), st.text("abc", min_size=1)),
    lambda inner: st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=8,
)
VALUES = st.dictionaries(st.sampled_from("xyz"), NESTED)


def shown(source: str, **values: Any) -> str:
    templates = Templates(paper_charts.FUNCTIONS)
    return templates.render(templates.add(source), {"Values": values})


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("a {{ .Values.x }} b", "a 1 b"),
        ("a {{- .Values.x -}} b", "a1b"),
        ("a\n{{- if .Values.x }}\nyes\n{{- else }}\nno\n{{- end }}\nb", "a\nyes\nb"),
        ("a\n{{- if .Values.none }}\nyes\n{{- else }}\nno\n{{- end }}\nb", "a\nno\nb"),
        ("{{- /* nothing\nat all */ -}} a", "a"),
        ("{{ with .Values.map }}{{ .k }}{{ end }}", "v"),
        ("{{ range .Values.list }}<{{ . }}>{{ end }}", "<2><1>"),
        ("{{ range $k, $v := .Values.map }}{{ $k }}={{ $v }},{{ end }}", "a=1,k=v,"),
        ("{{ range $v := list 1 2 }}{{ $v }}{{ $.Values.x }};{{ end }}", "11;21;"),
        ("{{ $x := 5 }}{{ if .Values.x }}{{ $x := 6 }}{{ $x }}{{ end }}{{ $x }}", "65"),
        ('{{ define "n" }}[{{ .v }}]{{ end }}{{ include "n" (dict "v" 7) | quote }}', '"[7]"'),
        ("{{ .Values.map | toJson | quote }}", '"{\\"a\\":1,\\"k\\":\\"v\\"}"'),
        ("x:{{ .Values.map | toYaml | nindent 2 }}", "x:\n  a: 1\n  k: v"),
        ("{{ .Values.none | default 3 }}{{ .Values.x | default 3 }}", "31"),
        ("{ {{ .Values.x | quote }}}", '{ "1"}'),
        ("{{ not .Values.x }}{{ gt (int .Values.x) 0 }}", "falsetrue"),
        ("[{{ .Values.none }}]", "[]"),
    ],
)
def test_templates_show_what_go_shows(source: str, text: str) -> None:
    assert shown(source, x=1, map={"k": "v", "a": 1}, list=[2, 1]) == text


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("{{ if .Values.x }}", "if .Values.x has no end"),
        ("{{ end }}", "no function end"),
        ("{{ else if .Values.x }}", "no function else"),
        ("{{ lookup .Values.x }}", "no function lookup"),
        ('{{ include "missing" . }}', "no template missing"),
        ("{{ $y }}", "no variable \\$y"),
        ("{{ .Values.none.x }}", "nothing has a field x there"),
        ('{{ required "say x" .Values.none }}', "say x"),
        ("{{ .Values.x ! }}", "cannot read"),
        ("{{ .Values.x | }}", "an empty command"),
    ],
)
def test_what_is_not_known_is_an_error_and_never_a_guess(source: str, problem: str) -> None:
    with pytest.raises(TemplateError, match=problem):
        shown(source, x=1)


@given(VALUES, VALUES)
def test_values_over_values_keep_what_is_not_said_anew(
    below: dict[str, Any], above: dict[str, Any]
) -> None:
    found = paper_charts.merged(below, above)
    assert found.keys() == below.keys() | above.keys()
    for name, value in found.items():
        if isinstance(below.get(name), dict) and isinstance(above.get(name), dict):
            assert value == paper_charts.merged(below[name], above[name])
        else:
            assert value == above.get(name, below.get(name))


@given(VALUES)
def test_a_null_takes_a_value_away(below: dict[str, Any]) -> None:
    assert paper_charts.merged(below, dict.fromkeys(below)) == {}
