"""The findings as JUnit XML, which every build server shows: a test case each, failed where it is an error."""

from __future__ import annotations

from xml.etree import ElementTree as Tree

from gradscope.report._format import output_format
from gradscope.report._look import Look
from gradscope.report._order import worst_first
from gradscope.report._words import estimate, number, risk, some
from gradscope.schema import Finding, Report


@output_format("junit", suffix=".xml")
def junit(report: Report, look: Look) -> str:
    """One suite; its last case is the verdict, which fails if any finding does."""
    errors = [f for f in report.findings if f.severity == "error"]
    target = look.clean(report.subject.target)
    attributes = {
        "name": "gradscope",
        "tests": str(len(report.findings) + 1),
        "failures": str(len(errors) + bool(errors)),
        "errors": "0",
        "time": f"{sum(report.seconds.values()):.3f}",
    }
    suite = Tree.Element("testsuite", attributes)
    for finding in worst_first(report.findings):
        case = Tree.SubElement(suite, "testcase", classname=target, name=f"{finding.code} {finding.name}")
        if finding.severity == "error":
            failure = Tree.SubElement(case, "failure", message=look.clean(finding.message), type=finding.name)
            failure.text = _details(report, finding, look)
        else:
            told = f"{look.clean(finding.message)}\n{_details(report, finding, look)}"
            Tree.SubElement(case, "system-out").text = told
    case = Tree.SubElement(suite, "testcase", classname=target, name="verdict")
    verdict = look.clean(f"{report.verdict.label}, {risk(report.verdict)}: {report.verdict.reason}")
    if errors:
        Tree.SubElement(case, "failure", message=verdict, type=report.verdict.label)
    else:
        Tree.SubElement(case, "system-out").text = verdict
    Tree.indent(suite)
    return Tree.tostring(suite, encoding="utf-8", xml_declaration=True).decode() + "\n"


def _details(report: Report, finding: Finding, look: Look) -> str:
    lines = [f"layers: {some([look.clean(name) for name in report.labels(finding.layers)])}"] if finding.layers else []
    lines += [f"{name}: {estimate(value)}" for name, value in finding.evidence.items()]
    if finding.threshold:
        lines.append(f"limit: {number(finding.threshold.value)} {finding.threshold.unit}")
    return "\n".join(lines)
