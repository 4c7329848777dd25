"""Interleaved rounds: in each, every contender measures everything in fresh processes of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from benchmarks import machine, processes
from benchmarks.peers import Say
from benchmarks.remote import contenders, peers, workloads
from benchmarks.remote.contenders import Contender
from benchmarks.results import Results
from benchmarks.rounds import TIMEOUT, Step


class Effort(NamedTuple):
    """How thorough a run is.

    Attributes:
        rounds: in which all take part.
        budget: seconds for each workload.
    """

    rounds: int
    budget: float


FULL = Effort(7, 0.1)
QUICK = Effort(1, 0.01)


class Rounds:
    """The steps of a run.

    Args:
        effort: how thorough.
        letters: of the workloads.
        results: where the figures go.
        missing: packages that could not be installed, with the reason.
    """

    def __init__(self, effort: Effort, letters: tuple[str, ...], results: Results, missing: dict[str, str]) -> None:
        self.effort = effort
        self.results = results
        self.missing = missing
        self.within = [workload.name for workload in workloads.WITHIN if workload.letter in letters]
        self.placed = workloads.CALL.letter in letters
        self.imports = workloads.IMPORT.letter in letters

    def steps(self) -> Iterator[tuple[str, Step]]:
        """What is to be done, in order: a title and a function."""
        for _ in range(self.effort.rounds):
            for contender in contenders.CONTENDERS:
                yield contender.name, partial(self.measure, contender)

    def measure(self, contender: Contender) -> None:
        """The processes of one contender."""
        if self.within:
            command = contenders.command(contender, self.within, self.effort.budget)
            self._take(contender, self.within, *self._lines(contender, command))
        if self.placed:
            for cores, workload in workloads.PLACED.items():
                command = contenders.command(contender, ["call"], self.effort.budget, cores)
                lines, reason = self._lines(contender, command)
                renamed = [{**line, "workload": workload.name} for line in lines if line["workload"] == "call"]
                self._take(contender, [workload.name], renamed, reason)
        if self.imports:
            lines, reason = self._lines(contender, contenders.import_command(contender))
            self._take(contender, [workloads.IMPORT.name], lines, reason)

    def _lines(self, contender: Contender, command: list[str]) -> tuple[list[processes.Line], str]:
        reason = self.missing.get(contender.package, "")
        return ([], reason) if reason else processes.lines_of(command, contenders.environment(contender), TIMEOUT)

    def _take(self, contender: Contender, names: list[str], lines: list[processes.Line], reason: str) -> None:
        """A figure that does not come is a failure with a reason."""
        came = {line["workload"]: line for line in lines}
        for name in names:
            line = came.get(name, {"failure": reason or "no figure came"})
            if "failure" in line:
                self.results.fail(name, contender.name, line["failure"])
            else:
                self.results.add(name, contender.name, line["value"])


def run(effort: Effort, letters: tuple[str, ...], say: Say, track: Callable[[list[str]], Step]) -> Results:
    """Measure.

    Args:
        effort, letters: what, and how thoroughly.
        say: told of preparations.
        track: given the titles of all steps; returns what is called after each.
    """
    missing = peers.provide(say)
    results = Results.started(effort._asdict(), letters, {**machine.hardware(), **peers.versions()})
    steps = list(Rounds(effort, letters, results, missing).steps())
    done = track([title for title, _ in steps])
    for _, step in steps:
        step()
        done()
    results.finish()
    return results
