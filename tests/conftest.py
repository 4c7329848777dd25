"""What all tests share: test DLLs compiled from C, sessions closed after each test, nothing left at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
KEPT = {"WINBRIDGE_PREFIX", "WINBRIDGE_IMPL"}
pytest_plugins = ["tests.fix_dlls", "tests.fix_gateway", "tests.fix_leaks"]


def pytest_configure(config: pytest.Config) -> None:
    # A shell starts its background jobs with SIGINT ignored, and .ci/run runs the tests in one.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in [name for name in os.environ if name.startswith("WINBRIDGE_") and name not in KEPT]:
        del os.environ[name]


def pytest_report_header() -> list[str]:
    import winbridge
    from winbridge.core import wine
    from winbridge.core.config import Config

    config = Config()
    archs = [arch for arch in ("win64", "win32") if wine.supports(arch)]
    version = wine.version(wine.find_loader(config, "win64"))
    ours = f"winbridge {winbridge.__version__} ({winbridge.__impl__})"
    return [f"{ours}, Wine {version}, {' '.join(archs)}, prefix {config.prefix}"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    from winbridge.core import wine

    if wine.supports("win32"):
        return
    for item in items:
        if item.get_closest_marker("win32"):
            item.add_marker(pytest.mark.skip(reason="32-BIT WINE IS NOT INSTALLED: not run"))


@pytest.fixture(params=[pytest.param("win64", marks=pytest.mark.win64), pytest.param("win32", marks=pytest.mark.win32)])
def arch(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(autouse=True)
def no_session_left():
    """Each test begins without a session."""
    yield
    from winbridge.core.session import SessionEngine

    SessionEngine.close_all()


@pytest.fixture
def run_python():
    """Run a Python program in a process of its own; returns what subprocess.run does."""

    def run(code: str, *arguments: str, **options) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT, timeout=120, **options
        )

    return run
