"""Figures of a run: kept, written, read, and reduced to medians and ratios."""

from __future__ import annotations

import json
import os
import statistics
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any


@dataclass
class Results:
    """All samples of a run.

    Attributes:
        machine: see ``machine.describe``.
        effort, letters: what was asked for.
        began, ended: time in UTC.
        load: the machine's load averages at the start and at the end.
        samples: by workload and contender, one figure a process.
        failures: by workload and contender, why there is none.
    """

    machine: dict[str, str]
    effort: dict[str, Any]
    letters: list[str]
    began: str
    ended: str = ""
    load: list[list[float]] = field(default_factory=list)
    samples: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    failures: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def started(cls, effort: dict[str, Any], letters: tuple[str, ...], measured_on: dict[str, str]) -> Results:
        """Those of a run that begins now."""
        return cls(measured_on, effort, list(letters), _now(), load=[_load()])

    def finish(self) -> None:
        """The run is over."""
        self.ended = _now()
        self.load.append(_load())

    def add(self, workload: str, contender: str, value: float) -> None:
        """Take a figure."""
        self.samples.setdefault(workload, {}).setdefault(contender, []).append(value)

    def fail(self, workload: str, contender: str, reason: str) -> None:
        """Note why a figure did not come."""
        self.failures.setdefault(workload, {})[contender] = " ".join(reason.split())

    def median(self, workload: str, contender: str) -> float | None:
        """The median over the processes, None without a figure."""
        values = self.samples.get(workload, {}).get(contender)
        return statistics.median(values) if values else None

    def ratio(self, workload: str, contender: str, other: str, other_workload: str = "") -> float | None:
        """How many times as long as another contender's figure, None where one is missing."""
        mine, theirs = self.median(workload, contender), self.median(other_workload or workload, other)
        return mine / theirs if mine is not None and theirs else None

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Results:
        """
        Raises:
            FileNotFoundError: nothing was measured yet.
        """
        return cls(**json.loads(path.read_text()))


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="minutes")


def _load() -> list[float]:
    return [round(average, 2) for average in os.getloadavg()]
