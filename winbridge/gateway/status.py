"""The status page, for people: made whole for each answer, so that it can be read without its script."""

from __future__ import annotations

import base64
import hashlib
import os
import time
from collections import deque
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from string import Template

import winbridge
from winbridge.gateway.metrics import Metrics, Sample, memory_of

REMEMBERED = 60
"""Seconds that the plot of calls a second shows."""

WIDTH, HEIGHT, FOOT = 480, 150, 20
"""Of a plot, in its own units; the foot has the labels."""


def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


_PAGE = Template(_part("status.html"))
_STYLE, _SCRIPT = _part("status.css"), _part("status.js")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_digest(_STYLE)}'; script-src 'sha256-{_digest(_SCRIPT)}';"
        " connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""The page's own style and script may do their work, and nothing else may."""


class Status:
    """The page of one gateway.

    Args:
        metrics: its figures.
        limit: sessions that it may have.
    """

    def __init__(self, metrics: Metrics, limit: int) -> None:
        self._metrics = metrics
        self._limit = limit
        self._started = time.monotonic()
        self._rates: deque[float] = deque([0.0] * REMEMBERED, REMEMBERED)
        self._known = (self._started, 0.0)

    def tick(self) -> None:
        """Take note of the calls since the last time; to be called every second."""
        now, calls = time.monotonic(), self._metrics.totals()["calls"]
        before, known = self._known
        self._rates.append((calls - known) / max(now - before, 1e-3))
        self._known = now, calls

    def page(self, samples: list[Sample]) -> str:
        """The page with the figures of now."""
        return _PAGE.substitute(style=_STYLE, script=_SCRIPT, main=self._main(samples))

    def _main(self, samples: list[Sample]) -> str:
        totals = self._metrics.totals()
        agents, own = sum(sample.memory for sample in samples), memory_of(os.getpid())
        up = _duration(time.monotonic() - self._started)
        tiles = [
            _tile("Sessions", f"{len(samples)}", f"of {self._limit}"),
            _tile("Calls a second", f"{self._rates[-1]:,.0f}"),
            _tile("Calls", f"{totals['calls']:,.0f}"),
            _tile("Windows faults", f"{totals['faults']:,.0f}", bad=bool(totals["faults"])),
            _tile("Errors", f"{totals['problems']:,.0f}", bad=bool(totals["problems"])),
            _tile("Memory", _bytes(own + agents), f"{_bytes(agents)} of it Windows"),
        ]
        return (
            f"<main><p>winbridge {escape(winbridge.__version__)}, up for {up}</p><dl>{''.join(tiles)}</dl>"
            f'<div class="pair"><section><h2>Calls a second, the last minute</h2>{_curve(list(self._rates))}</section>'
            f"<section><h2>How long calls take</h2>{_bars(self._metrics.latencies())}</section></div>"
            f"<section><h2>Sessions</h2>{_sessions(samples)}</section>"
            f"<section><h2>Errors</h2>{_errors(self._metrics.problems())}</section></main>"
        )


def _tile(name: str, value: str, more: str = "", bad: bool = False) -> str:
    mark = ' class="bad"' if bad else ""
    return f"<div><dt>{name}</dt><dd{mark}>{value} <small>{more}</small></dd></div>"


def _curve(values: Sequence[float]) -> str:
    top, room = max(*values, 1.0), HEIGHT - FOOT
    step = WIDTH / (len(values) - 1)
    tall = (room - 14) / top
    points = " ".join(f"{step * place:.1f},{room - tall * value:.1f}" for place, value in enumerate(values))
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Calls a second: now {values[-1]:.0f}, at most'
        f' {top:.0f}"><text x="0" y="10">{top:,.0f}</text>'
        f'<line class="axis" x1="0" x2="{WIDTH}" y1="{room}" y2="{room}"/>'
        f'<polyline points="{points}"/><text x="0" y="{HEIGHT - 5}">{len(values)} s ago</text>'
        f'<text x="{WIDTH}" y="{HEIGHT - 5}" text-anchor="end">now</text></svg>'
    )


def _bars(latencies: Sequence[tuple[float, int]]) -> str:
    """The histogram; each bar is labelled by its upper bound."""
    total, room = sum(count for _, count in latencies), HEIGHT - FOOT
    if not total:
        return "<p>No call yet.</p>"
    most, step = max(count for _, count in latencies), WIDTH / len(latencies)
    drawn = []
    for place, (bound, count) in enumerate(latencies):
        tall, middle = (room - 14) * count / most, step * (place + 0.5)
        drawn.append(
            f'<rect x="{step * place + 3:.1f}" y="{room - tall:.1f}" width="{step - 6:.1f}" height="{tall:.1f}">'
            f"<title>{count:,}</title></rect>"
            f'<text x="{middle:.1f}" y="{HEIGHT - 5}" text-anchor="middle">{_bound(bound)}</text>'
        )
        if count:
            share = f"{100 * count / total:.0f}%" if 200 * count >= total else "&lt;1%"
            drawn.append(f'<text x="{middle:.1f}" y="{room - tall - 4:.1f}" text-anchor="middle">{share}</text>')
    axis = f'<line class="axis" x1="0" x2="{WIDTH}" y1="{room}" y2="{room}"/>'
    told = f"Latency histogram of {total:,} calls"
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{told}">{axis}{"".join(drawn)}</svg>'


def _sessions(samples: Iterable[Sample]) -> str:
    rows = [
        (
            f"<code>{escape(sample.name)}…</code>", sample.arch, f"{sample.calls:,}", str(sample.channels),
            str(sample.users) if sample.users else f"idle for {_duration(sample.idle)}", _bytes(sample.memory),
            escape(", ".join(sample.dlls)) or "–",
        )
        for sample in samples
    ]  # fmt: skip
    if not rows:
        return "<p>No session is open.</p>"
    return _table(["Session", "Type", "#Calls", "#Channels", "Under way", "#Memory", "DLLs"], rows)


def _errors(problems: dict[str, float]) -> str:
    if not problems:
        return "<p>None.</p>"
    return _table(["Kind", "#Times"], [(escape(kind), f"{count:,.0f}") for kind, count in sorted(problems.items())])


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; columns whose name begins with # have numbers."""
    marks = [' class="number"' if name.startswith("#") else "" for name in names]
    head = "".join(f"<th{mark}>{name.lstrip('#')}</th>" for mark, name in zip(marks, names, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{mark}>{cell}</td>" for mark, cell in zip(marks, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _bytes(size: float) -> str:
    return f"{size / 1e6:,.0f} MB"


def _bound(seconds: float) -> str:
    if seconds == float("inf"):
        return "more"
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1e3:.0f} ms" if seconds < 1 else f"{seconds:.0f} s"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = int(seconds) // 60
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
