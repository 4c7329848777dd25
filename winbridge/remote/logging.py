"""Log records of one side in the loggers of the other.

A ``RemoteHandler`` is put on a logger where the records arise; they are handled by the logger of the same name at the
other side of the connection. ``receive`` has the other side do that for this one::

    with Connection.from_command([sys.executable, "-m", "winbridge.remote"]) as connection:
        receive(connection, level=logging.INFO)

Logging never waits for the connection, nor fails because of it: a thread sends what is queued, and what cannot be sent
is counted. That holds for records from ``__del__`` and from within this package too.
"""

from __future__ import annotations

import logging
import os
import pickle
import queue
import threading
from typing import TYPE_CHECKING, Any

from winbridge.remote import failures
from winbridge.remote.current import get_connection

if TYPE_CHECKING:
    from winbridge.remote.connection import Connection

    Extras = dict[str, tuple[bytes, str]]
    """Attributes that a program added to a record: pickled (nothing if that fails), and as text."""

__all__ = ["RemoteHandler", "receive"]

MOST_QUEUED = 10_000
"""Records that wait to be sent; while there are as many, further ones are dropped."""

MOST_AT_ONCE = 200
"""Records that one message takes."""

LONGEST_REST = 0.5
"""Seconds without a record after which the thread that sends them ends."""

LONGEST_FLUSH = 2.0
"""Seconds that ``flush`` and ``close`` wait: at the end of a program the peer may be busy, or hang."""

_RANDOM = os.urandom(8).hex()
_PLAIN = (type(None), bool, int, float, str)
_STANDARD = frozenset((*vars(logging.makeLogRecord({})), "message", "asctime"))


class RemoteHandler(logging.Handler):
    """Sends log records to the other side of a connection.

    Args:
        connection: to whom; in a function that a peer called, ``get_connection()``.
        level: of the records that are sent, at least.

    Attributes:
        dropped: how many records did not get there: the peer was gone, or the queue was full.
    """

    def __init__(self, connection: Connection, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self.dropped = 0
        self._connection = connection
        self._lost = False
        # The one queue that may be put to in the middle of a put to it, by the __del__ of collected garbage.
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._sender: threading.Thread | None = None
        # Not the handler's own lock: logging holds that while it has a handler flush. Re-entrant, for the same __del__.
        self._starting = threading.RLock()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record; it is taken as it is now, whatever happens to its arguments later."""
        if threading.current_thread() is self._sender or getattr(record, "remote", None) is self._connection:
            return  # of our own sending, or just come from there
        if self._lost or self._queue.qsize() >= MOST_QUEUED:
            self.dropped += 1
            return
        try:
            self._put(_packed(record, self._connection))
        except Exception:
            self.dropped += 1
            self.handleError(record)

    def flush(self) -> None:
        """Wait until what was logged so far has been handled at the other side, but not for long."""
        if self._sender is not None and threading.current_thread() is not self._sender:
            done = threading.Event()
            self._put(done)
            done.wait(LONGEST_FLUSH)

    def close(self) -> None:
        """Send what is queued; what is logged from now on is dropped."""
        self.flush()
        self._lost = True
        super().close()

    def _put(self, item: Any) -> None:
        with self._starting:
            self._queue.put(item)
            if self._sender is not None:
                return
            self._sender = threading.Thread(target=self._send_all, name="winbridge-remote-logging", daemon=True)
            try:
                self._sender.start()
            except RuntimeError:  # the program is ending
                self._sender, self._lost = None, True

    def _send_all(self) -> None:
        while True:
            try:
                items = [self._queue.get(timeout=0 if self._lost else LONGEST_REST)]
            except queue.Empty:
                if self._ended():
                    return
                continue
            while len(items) < MOST_AT_ONCE and not self._queue.empty():
                items.append(self._queue.get())
            self._send([item for item in items if isinstance(item, tuple)])
            for item in items:
                if isinstance(item, threading.Event):
                    item.set()

    def _ended(self) -> bool:
        """Whether there is nothing to do; then the next record starts another thread."""
        with self._starting:
            if self._queue.empty():
                self._sender = None
            return self._sender is None

    def _send(self, records: list[Any]) -> None:
        if not records:
            return
        try:
            self._connection.call(_handle, records)
        except Exception:
            self.dropped += len(records)
            self._lost = self._lost or not self._connection.is_connected()


def receive(connection: Connection, name: str = "", level: int | None = None) -> None:
    """Have the records of the other side handled by the loggers of this one.

    Args:
        connection: to the other side.
        name: the logger there whose records come, with those of the loggers below it; all, if it is not given.
        level: set for that logger; None leaves it as it is.
    """
    connection.call(_install, name, level)


def _install(name: str, level: int | None) -> None:
    logger = logging.getLogger(name)
    if level is not None:
        logger.setLevel(level)
    # Those of connections that are closed go with the next that comes.
    ours = [handler for handler in logger.handlers if isinstance(handler, RemoteHandler)]
    for handler in ours:
        if not handler._connection.is_connected():
            logger.removeHandler(handler)
            handler.close()
    if all(handler._connection is not get_connection() for handler in ours):
        logger.addHandler(RemoteHandler(get_connection()))


def _packed(record: logging.LogRecord, connection: Connection) -> tuple[dict[str, Any], Extras, Any]:
    """Plain data, what the program added, the exception."""
    fields: dict[str, Any] = {}
    extras: Extras = {}
    for name, value in vars(record).items():
        if type(value) in _PLAIN:
            fields[name] = value
        elif name not in _STANDARD:
            extras[name] = _pickled(value), repr(value)
    if _are_plain(record.args):
        fields["args"] = record.args
    else:
        fields.update(msg=record.getMessage(), args=None)
    fields["msg"] = str(fields.get("msg", record.msg))
    fields["remote_path"] = (*getattr(record, "remote_path", ()), _this_process())
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    if error is None:
        return fields, extras, None
    fields["exc_text"] = record.exc_text or logging.Formatter().formatException(record.exc_info)  # type: ignore[arg-type]
    return fields, extras, failures.packed(connection.values, error)


def _this_process() -> str:
    """Distinguishes this process from all others, those on other machines and those that it forked too."""
    return f"{_RANDOM}-{os.getpid()}"


def _are_plain(args: Any) -> bool:
    values = args.values() if isinstance(args, dict) else args or ()
    return all(type(value) in _PLAIN for value in values)


def _pickled(value: Any) -> bytes:
    try:
        return pickle.dumps(value, 5)
    except Exception:
        return b""


def _handle(records: list[tuple[dict[str, Any], Extras, Any]]) -> None:
    """Give records of the other side to the loggers of this one."""
    connection = get_connection()
    for fields, extras, packed in records:
        if _this_process() in fields["remote_path"]:
            continue  # it went round in a circle
        record = logging.makeLogRecord({**fields, **{name: _unpickled(*extra) for name, extra in extras.items()}})
        record.remote = connection
        if packed is not None:
            error = failures.unpacked(connection.values, *packed)
            record.exc_info = type(error), error, error.__traceback__
        logger = logging.getLogger(record.name)
        if logger.isEnabledFor(record.levelno):
            try:
                logger.handle(record)
            except Exception:  # of a filter, say; the other records are not to suffer
                logging.Handler().handleError(record)


def _unpickled(pickled: bytes, text: str) -> Any:
    """The attribute, or its text where it cannot be had."""
    try:
        return pickle.loads(pickled) if pickled else text
    except Exception:
        return text
