"""`bench selfcheck`: known answers, computed again on this machine."""

from collections.abc import Iterable

from bench.cli.terminal import console
from bench.running.selfcheck import Check, checks

PASSED, FAILED = 0, 1


def selfcheck() -> int:
    """Exit code 0 where every answer is as it must be, 1 otherwise."""
    return shown(checks())


def shown(found: Iterable[Check]) -> int:
    """Print each check as its answer comes, and what failed by name below; the exit code."""
    screen, answers = console(), []
    for check in found:
        answers.append(check)
        verdict = "ok" if check.passed else "FAILED"
        screen.print(f"{verdict:6} {check.what}: {check.found}, expected {check.expected}")
    wrong = [check.what for check in answers if not check.passed]
    text = f"FAILED: {'; '.join(wrong)}" if wrong else f"all {len(answers)} known answers are as they must be"
    screen.print(text, style="bold")
    return FAILED if wrong else PASSED
