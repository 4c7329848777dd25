"""Interleaved rounds: in each, every contender measures everything in fresh processes of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks import contenders, machine, peers, processes, workloads
from benchmarks.contenders import Contender
from benchmarks.results import Results

TIMEOUT = 120.0


class Effort(NamedTuple):
    """How thorough a run is.

    Attributes:
        rounds: in which all take part.
        slow_rounds: in which the slow peers and the measures of sessions do.
        budget: seconds for each call that is measured.
        seconds: for each measure of throughput and of processor time.
        counts: of sessions side by side.
    """

    rounds: int
    slow_rounds: int
    budget: float
    seconds: float
    counts: tuple[int, ...]


FULL = Effort(5, 3, 0.3, 2.0, workloads.COUNTS)
QUICK = Effort(2, 1, 0.05, 0.5, workloads.COUNTS[:3])

Step = Callable[[], object]


class Rounds:
    """The steps of a run.

    Args:
        effort: how thorough.
        letters: of the workloads.
        results: where the figures go.
        missing: what ``peers.provide`` could not make, with the reason.
        wenv: see ``peers.wenv_home``.
    """

    def __init__(
        self, effort: Effort, letters: tuple[str, ...], results: Results, missing: dict[str, str], wenv: Path
    ) -> None:
        self.effort = effort
        self.letters = letters
        self.results = results
        self.missing = missing
        self.wenv = wenv

    def steps(self) -> Iterator[tuple[str, Step]]:
        """What is to be done, in order: a title and a function."""
        for number in range(self.effort.rounds):
            rare = number < self.effort.slow_rounds
            for contender in contenders.CONTENDERS:
                names = self._calls(contender) + ["session", "first_call"] * ("g" in self.letters)
                if names and (rare or not contender.slow):
                    yield contender.name, partial(self._measure, contender, names)
            if "a" in self.letters:
                for contender in contenders.ONE_CORE:
                    yield contender.name, partial(self._measure, contender, [workloads.ASLEEP.name])
            yield from self._session_steps(rare)

    def _session_steps(self, rare: bool) -> Iterator[tuple[str, Step]]:
        ours = [contender for contender in contenders.CONTENDERS if contender.ours and contender.arch == "win64"]
        if rare:
            for contender in [each for each in ours if each.kind == "drop-in"]:
                for title, measure in self._session_measures():
                    yield f"{title}, {contender.name}", partial(self._sessions, contender, measure)
        if "g" in self.letters:
            for contender in ours:
                name = "load_dll" if contender.kind == "load_dll" else "ctypes"
                statement = f"from winbridge import {name}"
                yield statement, partial(self._import, contender, contender.name, statement)
            yield "import winbridge", partial(self._import, ours[-1], "the package alone", "import winbridge")
            for contender in (*ours, contenders.BY_NAME[contenders.NATIVE]):
                yield f"cold start, {contender.name}", partial(self._cold, contender)
            yield "warming up", self.warm_up

    def _session_measures(self) -> Iterator[tuple[str, dict[str, object]]]:
        if "h" in self.letters:
            for count in self.effort.counts:
                yield f"{count} sessions", {"measure": "many", "count": count}
        if "i" in self.letters:
            yield "idle sessions", {"measure": "idle", "count": 4}
            for count, cores in ((1, 0), (1, 1), (workloads.THREADS, 0)):
                yield "a long call", {"measure": "long_call", "count": count, "cores": cores}

    def _calls(self, contender: Contender) -> list[str]:
        own = workloads.OWN_CALLS if contender.kind == "load_dll" and contender.arch == "win64" else ()
        names = [workload.name for workload in (*workloads.CALLS, *own) if workload.letter in self.letters]
        asleep = [workloads.ASLEEP.name] if own and "a" in self.letters else []
        return names + asleep

    def _measure(self, contender: Contender, names: list[str]) -> None:
        """One process, which tells its start besides; a figure that does not come is a failure with a reason."""
        reason = next((f"{need}: {self.missing[need]}" for need in contender.everything if need in self.missing), "")
        lines: list[processes.Line] = []
        if not reason:
            calls = [name for name in names if workloads.BY_NAME[name] not in workloads.STARTS]
            command = contenders.command(contender, calls, self.effort.budget)
            lines, reason = processes.lines_of(command, contenders.environment(contender, self.wenv), TIMEOUT)
        for line in lines:
            if contender.name == contenders.NATIVE and line["workload"] == "python":
                self.results.machine["Windows Python"] = line["text"]
        reason = self._wrong_implementation(contender, lines) or reason
        self._take(contender, names, lines, reason)

    def _wrong_implementation(self, contender: Contender, lines: list[processes.Line]) -> str:
        """Forget the figures of pure Python where the extension's were asked for."""
        used = next((line["text"] for line in lines if line["workload"] == "implementation"), contender.implementation)
        if used == contender.implementation:
            return ""
        lines.clear()
        return f"winbridge ran with its implementation {used!r}: is the extension built?"

    def _take(self, contender: Contender, names: list[str], lines: list[processes.Line], reason: str) -> None:
        for line in lines:
            if "failure" in line:
                self.results.fail(line["workload"], contender.name, line["failure"])
            elif line["workload"] in names:
                self.results.add(line["workload"], contender.name, line["value"])
        came = {line["workload"] for line in lines}
        for name in [name for name in names if name not in came]:
            self.results.fail(name, contender.name, reason or "no figure came")

    def _import(self, contender: Contender, title: str, statement: str) -> None:
        command = contenders.import_command(statement)
        lines, reason = processes.lines_of(command, contenders.environment(contender, self.wenv), TIMEOUT)
        self._take(contender._replace(name=title), ["import"], lines, reason)

    def _sessions(self, contender: Contender, measure: dict[str, object]) -> None:
        command = contenders.sessions_command(seconds=self.effort.seconds, **measure)
        lines, reason = processes.lines_of(command, contenders.environment(contender, self.wenv), TIMEOUT)
        for line in lines:
            self.results.add(line["workload"], contender.name, line["value"])
        if reason:
            self.results.fail(" ".join(map(str, measure.values())), contender.name, reason)

    def _cold(self, contender: Contender) -> None:
        processes.stop_server()
        command = contenders.command(contender, [], self.effort.budget)
        lines, reason = processes.lines_of(command, contenders.environment(contender, self.wenv), TIMEOUT)
        cold = [{**line, "workload": f"cold_{line['workload']}"} for line in lines]
        self._take(contender, ["cold_session", "cold_first_call"], cold, reason)

    def warm_up(self) -> None:
        """Wine's server and its services are up, and files are cached, as when a program just ran."""
        processes.start_server()
        for name in (contenders.NATIVE, "load_dll, pure Python", "load_dll, 32 bit, pure Python"):
            contender = contenders.BY_NAME[name]
            if not set(contender.everything) & set(self.missing):
                command = contenders.command(contender, [], 0)
                processes.lines_of(command, contenders.environment(contender, self.wenv), TIMEOUT)


def run(effort: Effort, letters: tuple[str, ...], say: peers.Say, track: Callable[[list[str]], Step]) -> Results:
    """Measure.

    Args:
        effort, letters: what, and how thoroughly.
        say: told of preparations.
        track: given the titles of all steps; returns what is called after each.
    """
    missing = peers.provide(say)
    results = Results.started(effort._asdict(), letters, machine.describe())
    with peers.wenv_home() as wenv, processes.wine_server():
        rounds = Rounds(effort, letters, results, missing, wenv)
        say("warming up")
        rounds.warm_up()
        steps = list(rounds.steps())
        done = track([title for title, _ in steps])
        for _, step in steps:
            step()
            done()
    results.finish()
    return results
