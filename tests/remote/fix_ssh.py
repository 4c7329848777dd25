"""Debian's ssh server on loopback, with keys of its own, for one test module."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

SSHD = shutil.which("sshd", path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")
NO_SSH = "NO SSH SERVER HERE: CONNECTIONS OVER ssh ARE NOT TESTED. Install it: apt-get install openssh-server"
SEPARATION = Path("/run/sshd")
"""sshd of root wants this folder, which the system's service makes."""

CONFIG = """
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
"""


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """The command that runs another one over ssh."""
    if SSHD is None or not shutil.which("ssh") or not shutil.which("ssh-keygen"):
        pytest.skip(NO_SSH)
    folder = tmp_path_factory.mktemp("ssh")
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    with _separation(), _server(folder) as port:
        options = ["BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=no", "LogLevel=ERROR"]
        given = [part for option in (*options, f"UserKnownHostsFile={folder}/known") for part in ("-o", option)]
        at = f"{getpass.getuser()}@127.0.0.1"
        yield ["ssh", "-F", "none", "-T", "-p", str(port), "-i", str(folder / "user"), *given, at]


@contextlib.contextmanager
def _separation() -> Iterator[None]:
    made = os.geteuid() == 0 and not SEPARATION.exists()
    if made:
        SEPARATION.mkdir(mode=0o755)
    try:
        yield
    finally:
        if made:
            SEPARATION.rmdir()


@contextlib.contextmanager
def _server(folder: Path) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "config").write_text(CONFIG.format(port=port, folder=folder))
    command = [SSHD, "-D", "-e", "-f", str(folder / "config")]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as server:
        try:
            said = ""
            while "Server listening" not in said:
                line = server.stderr.readline()
                assert line, f"sshd did not start: {said}"
                said += line
            yield port
        finally:
            server.terminate()
            server.communicate()
