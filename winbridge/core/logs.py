"""Where a session's log goes, when its parameters say so."""

from __future__ import annotations

import logging
from pathlib import Path

from winbridge.core.config import Config

FORMAT = "%(asctime)s %(levelname)s %(name)s [%(threadName)s] %(message)s"

logging.getLogger("winbridge").addHandler(logging.NullHandler())  # a library prints nothing unless asked

_files: dict[Path, logging.Handler] = {}


def configure_logging(config: Config) -> None:
    """Set the level of the ``winbridge`` loggers, and give them a file or, with a level alone, standard error.

    Without either parameter, logging stays as the program set it up.
    """
    root = logging.getLogger("winbridge")
    if config.log_level is not None:
        root.setLevel(config.log_level.upper())
    if config.log_file is not None:
        _add(root, config.log_file)
    elif config.log_level is not None and not _heard(root):
        root.addHandler(_formatted(logging.StreamHandler()))


def _heard(root: logging.Logger) -> bool:
    """Whether some handler, ours or the program's, shows what is logged."""
    handlers = [*root.handlers, *logging.getLogger().handlers]
    return any(not isinstance(handler, logging.NullHandler) for handler in handlers)


def _add(root: logging.Logger, path: Path) -> None:
    path = path.absolute()
    if path not in _files:
        _files[path] = _formatted(logging.FileHandler(path, delay=True))
        root.addHandler(_files[path])


def _formatted(handler: logging.Handler) -> logging.Handler:
    handler.setFormatter(logging.Formatter(FORMAT))
    return handler
