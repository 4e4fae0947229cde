"""`gradscope analyze`: exit status, formats, files and options."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gradscope.pipeline import Options, Request
from gradscope.schema import GradscopeError
from tests.report import fixtures


def fail_with(error: BaseException):
    def answer():
        raise error

    return answer


@pytest.mark.parametrize(
    ("case", "fail_on", "expected"),
    [
        ("healthy", "error", 0),
        ("healthy", "info", 0),
        ("sick", "error", 1),
        ("sick", "info", 1),
        ("sick", "never", 0),
    ],
)
@pytest.mark.parametrize("format", ["terminal", "json"])
def test_the_exit_status_says_whether_something_was_found(invoke, analysis, case, fail_on, expected, format) -> None:
    analysis.answer = fixtures.ALL[case]
    assert invoke("analyze", "m.py", "--fail-on", fail_on, "--format", format).status == expected


def test_a_warning_fails_only_where_warnings_fail(invoke, analysis) -> None:
    from dataclasses import replace

    warning = next(f for f in fixtures.sick().findings if f.severity == "warning")
    analysis.answer = lambda: replace(fixtures.sick(), findings=(warning,))
    assert invoke("analyze", "m.py").status == 0
    assert invoke("analyze", "m.py", "--fail-on", "warning").status == 1


def test_the_terminal_report_is_the_default_and_has_no_escape_codes_in_a_pipe(invoke, analysis) -> None:
    analysis.answer = fixtures.sick
    result = invoke("analyze", "m.py")
    assert "VANISHING" in result.out
    assert "\x1b" not in result.out
    assert result.err == ""


def test_json_on_standard_output_is_nothing_but_json(invoke, analysis) -> None:
    analysis.answer = fixtures.broken
    result = invoke("analyze", "m.py", "--format", "json")
    assert json.loads(result.out)["verdict"]["label"] == "unknown"
    assert result.err == ""


def test_files_get_the_format_of_their_suffix_and_the_terminal_its_report(invoke, analysis, tmp_path: Path) -> None:
    result = invoke("analyze", "m.py", "-o", f"{tmp_path}/a.json", "-o", f"{tmp_path}/a.txt")
    assert "HEALTHY" in result.out
    assert json.loads((tmp_path / "a.json").read_text())["schema_version"] == "1"
    assert "HEALTHY" in (tmp_path / "a.txt").read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "a.txt"]


def test_an_explicit_format_goes_to_the_file_alone(invoke, analysis, tmp_path: Path) -> None:
    result = invoke("analyze", "m.py", "--format", "json", "-o", f"{tmp_path}/audit")
    assert result.out == ""
    assert json.loads((tmp_path / "audit").read_text())["schema_version"] == "1"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["-o", "x.docx"], "no format for this suffix"),
        (["-o", "nowhere/x.json"], "no folder nowhere"),
        (["-o", "x.md", "--format", "json"], "the suffix says markdown, --format says json"),
        (["--format", "yaml"], "'yaml' is not one of"),
        (["--select", "GS777"], "No diagnostic 'GS777'"),
        (["--ignore", "vanishing"], "No diagnostic 'vanishing'"),
        (["--timeout", "0"], "--timeout"),
        (["--tol", "2"], "--tol"),
        (["--seed", "x"], "--seed"),
        (["--frobnicate"], "--frobnicate"),
    ],
)
def test_a_wrong_option_costs_no_analysis_and_gives_status_2(invoke, analysis, arguments, reason) -> None:
    result = invoke("analyze", "m.py", *arguments)
    assert result.status == 2
    assert reason in " ".join(result.err.replace("│", " ").split())
    assert result.out == ""
    assert analysis.asked == []


def test_what_cannot_be_analysed_is_one_sentence_and_status_2(invoke, analysis) -> None:
    analysis.answer = fail_with(GradscopeError("m.py: no such file."))
    result = invoke("analyze", "m.py")
    assert (result.status, result.out, result.err) == (2, "", "gradscope: m.py: no such file.\n")


def test_a_bug_of_ours_is_not_a_finding(invoke, analysis) -> None:
    analysis.answer = fail_with(ZeroDivisionError("x"))
    result = invoke("analyze", "m.py")
    assert result.status == 3
    assert "bug in gradscope" in result.err


def test_an_interrupt_is_quiet(invoke, analysis) -> None:
    analysis.answer = fail_with(KeyboardInterrupt())
    assert invoke("analyze", "m.py").status == 130


def test_a_report_that_cannot_be_written_is_still_printed(invoke, analysis, tmp_path: Path) -> None:
    result = invoke("analyze", "m.py", "-o", f"{tmp_path}/{'x' * 300}.json")
    assert result.status == 2
    assert "HEALTHY" in result.out
    assert "cannot write: File name too long" in result.err


def test_nothing_is_left_where_the_analysis_failed(invoke, analysis, tmp_path: Path) -> None:
    analysis.answer = fail_with(GradscopeError("no."))
    invoke("analyze", "m.py", "-o", f"{tmp_path}/a.json")
    assert list(tmp_path.iterdir()) == []


def test_every_option_reaches_the_analysis(invoke, analysis) -> None:
    invoke(
        *("analyze", "m.py:make(depth=3)", "--input", "8,3,32,32", "--input", "8:int64", "--loss", "mse_loss"),
        *("--seed", "7", "--eval", "--no-prescribe", "--weights", "w.pt", "--timeout", "9", "--memory", "2"),
        *("--tol", "1e-3", "--certify", "--optimizer", "sgd", "--lr", "0.01", "--precision", "fp16"),
        "--no-trial-steps",
        *("--select", "GS2,dead-relu", "--ignore", "GS203", "--static", "--set", "depth=5", "--set", "act=relu"),
    )
    (asked,) = analysis.asked
    config = asked.options.config
    assert (config.timeout, config.memory) == (9.0, 2.0)
    assert (config.spectral_tolerance, config.is_certified) == (1e-3, True)
    assert (config.optimizer, config.precision) == ("sgd", "fp16")
    assert asked == Request(
        "m.py:make(depth=3)",
        Options(
            config,
            seed=7,
            training=False,
            prescribe=False,
            trial_steps=False,
            learning_rate=0.01,
            select=("GS2", "dead-relu"),
            ignore=("GS203",),
        ),
        inputs=("8,3,32,32", "8:int64"),
        loss="mse_loss",
        weights="w.pt",
        settings={"depth": 5, "act": "relu"},
        is_static=True,
    )


def test_options_of_the_project_are_used(invoke, analysis, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.gradscope]\ntimeout = 5\n")
    monkeypatch.chdir(tmp_path)
    invoke("analyze", "m.py")
    assert analysis.asked[0].options.config.timeout == 5.0


def test_a_broken_project_file_is_one_sentence(invoke, analysis, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.gradscope]\nmemry = 5\n")
    monkeypatch.chdir(tmp_path)
    result = invoke("analyze", "m.py")
    assert result.status == 2
    assert "memry" in result.err
    assert "Traceback" not in result.err


def test_density_names_layers_and_may_be_repeated(invoke, analysis) -> None:
    invoke("analyze", "m.py", "--density", "layer1.*", "--density", "network")
    assert analysis.asked[0].options.density == ("layer1.*", "network")


def test_a_density_is_measured_and_shown_from_end_to_end(invoke, tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    file.write_text(
        "import torch\n\n\ndef make_model():\n"
        "    model = torch.nn.Sequential(torch.nn.Linear(16, 16), torch.nn.Tanh(), torch.nn.Linear(16, 4))\n"
        "    torch.nn.init.orthogonal_(model[0].weight)\n    return model\n"
    )
    quick = ("--no-prescribe", "--no-trial-steps", "--fail-on", "never")
    result = invoke("analyze", str(file), *quick, "--density", "0", "-o", str(tmp_path / "a.json"))
    assert "spread of ln σ" in result.out
    first, *others = [x for x in json.loads((tmp_path / "a.json").read_text())["layers"] if x["kind"] != "input"]
    assert first["density"]["spread"]["value"] == pytest.approx(0, abs=1e-4)
    assert [x["density"] for x in others] == [None, None]
    wrong = invoke("analyze", str(file), *quick, "--density", "fc")
    assert wrong.status == 2
    assert "No layer is called 'fc'; try 0, 1, 2 or network." in wrong.err
