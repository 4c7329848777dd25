"""A connection served in a process of its own: the server's side of it; ``child`` is the other one."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess

from winbridge.remote.errors import DisconnectError
from winbridge.remote.options import DEFAULTS, Options
from winbridge.remote.servers import children
from winbridge.remote.servers.admission import Admitted

LONGEST_REPORT = 4096


class ProcessService:
    """Starts a process, which serves one connection, and waits for it.

    It has to be made and run by the same thread: the process ends with that.

    Args:
        admitted: the connection.
        client: its address.
        options: of the serving side.
    """

    def __init__(self, admitted: Admitted, client: str, options: Options) -> None:
        self._draining = False
        self._report, theirs = os.pipe()
        try:
            self._process = self._start(admitted, client, options, theirs)
        except BaseException:
            os.close(self._report)
            raise
        finally:
            os.close(theirs)

    def _start(self, admitted: Admitted, client: str, options: Options, report: int) -> subprocess.Popen[bytes]:
        plain = json.dumps({name: getattr(options, name) for name in DEFAULTS if name not in ("secret", "ssl")})
        descriptors = [admitted.sock.fileno(), report]
        arguments = [*map(str, descriptors), admitted.preamble.hex(), client, plain]
        return children.start("winbridge.remote.servers.child", descriptors, *arguments)

    def run(self) -> None:
        """Until the process ends.

        Raises:
            DisconnectError: the client broke the rules or went away without a word; or the process failed.
        """
        try:
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
            children.kill(self._process)  # what it has started itself
            status = self._process.wait()
            os.set_blocking(self._report, False)
            with contextlib.suppress(BlockingIOError):
                report = os.read(self._report, LONGEST_REPORT).decode("utf-8", "replace")
                if report:
                    raise DisconnectError(report)
            if status and not (self._draining and status == -signal.SIGTERM):  # it was ending anyway
                raise DisconnectError(f"process {self._process.pid} ended: {children.outcome(status)}")
        finally:
            os.close(self._report)

    def drain(self) -> None:
        """End when nothing is being executed any more. Does not wait."""
        self._draining = True
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End now."""
        if self._process.poll() is None:
            children.kill(self._process)
