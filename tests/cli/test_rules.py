"""`gradscope rules` lists every diagnostic."""

from __future__ import annotations

from gradscope.diagnose import DIAGNOSTICS


def test_every_diagnostic_has_its_line_in_order_of_codes(invoke) -> None:
    header, *lines = invoke("rules").out.splitlines()
    assert header.split() == ["code", "name", "severity", "finds"]
    expected = sorted((d.code, d.name, d.severity) for d in DIAGNOSTICS)
    assert [tuple(line.split()[:3]) for line in lines] == expected


def test_a_pipe_gets_the_whole_sentence_in_one_line(invoke) -> None:
    lines = invoke("rules").out.splitlines()
    for diagnostic in DIAGNOSTICS:
        assert any(line.endswith(diagnostic.doc.partition("\n")[0]) for line in lines)
