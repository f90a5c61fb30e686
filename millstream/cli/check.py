"""`millstream check`: which `tf.*` names programs use, and which of them Millstream lacks. Nothing is run."""
from __future__ import annotations

import functools
import sys
from typing import NamedTuple

from millstream.cli.choose_api import Choice, choose
from millstream.cli.usage import Use, read_program
from millstream.compat.lookup import Finding, judge
from millstream.public import names

UNREADABLE = 2


class Report(NamedTuple):
    """What was found in one program: its uses in the order of lines, each with its finding."""

    program: str
    choice: Choice
    findings: list[tuple[int, Finding]]

    @property
    def lacking(self) -> list[tuple[int, Finding]]:
        return [(line, finding) for line, finding in self.findings if finding.problem]


def check(programs: list[str], api: str, only_lacking: bool) -> int:
    """Prints a report for each program.

    Args:
      programs: Python files.
      api: "auto", "1" or "2".
      only_lacking: leave the names out that Millstream has.

    Returns:
      The exit code: 0, 1 when a name is lacking, 2 when a file cannot be read.
    """
    code = 0
    for program in programs:
        try:
            report = examine(program, api)
        except (OSError, SyntaxError, ValueError, RecursionError) as error:
            line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
            print(f"{program}{line}: cannot be read: {error}", file=sys.stderr)
            code = UNREADABLE
            continue
        print_report(report, only_lacking)
        code = max(code, 1 if report.lacking else 0)
    return code


def examine(program: str, api: str) -> Report:
    """Reads one program.

    Raises:
      OSError, SyntaxError, ValueError: the file cannot be read or is not Python.
    """
    with open(program, "rb") as file:
        source = file.read()
    choice = choose(program) if api == "auto" else Choice(int(api), "as asked for")
    uses = read_program(source, program, functools.partial(names.members, choice.api)).uses
    return Report(program, choice, _judge_all(choice.api, uses))


def _judge_all(api: int, uses: list[Use]) -> list[tuple[int, Finding]]:
    """Each name once a line, and a name that Millstream has only where it is first used."""
    findings: dict[tuple[int, str], tuple[int, Finding]] = {}
    seen: set[str] = set()
    for use in uses:
        if use.name.rpartition(".")[2].startswith("__"):
            continue
        finding = judge(api, use.name)
        if finding.problem or finding.name not in seen:
            findings.setdefault((use.line, finding.name), (use.line, finding))
        seen.add(finding.name)
    return list(findings.values())


def print_report(report: Report, only_lacking: bool) -> None:
    for line, finding in report.lacking if only_lacking else report.findings:
        print(f"{report.program}:{line}: {finding.problem or finding.name}")
    count = len({finding.name for _, finding in report.findings})
    lacking = len({finding.name for _, finding in report.lacking})
    print(f"{report.program}: {count} names of TensorFlow {report.choice.api}.x, {lacking} lacking")
