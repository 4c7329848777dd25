"""A slot: the conversation at the start of a shared segment, one message and one record at a time.

Whoever waits spins for a while, then sets its flag and sleeps in its pipe; the other side writes a byte when it
sees the flag. The extension has the same class in C (native/extension/channel.c).
"""

from __future__ import annotations

import os
import select
import threading
import time

from winbridge.core import wire
from winbridge.core.errors import WinbridgeError
from winbridge.core.wire import SLOT, Record, Status

NO_SPIN = range(0)

SPINS_PER_MICROSECOND = 20
"""Turns of the waiting loop in a microsecond, about, on current processors."""

_REQUEST_SERIAL = SLOT["REQUEST_SERIAL"] // 4
_RESPONSE_SERIAL = SLOT["RESPONSE_SERIAL"] // 4
_AGENT_ASLEEP = SLOT["AGENT_ASLEEP"] // 4
_CLIENT_ASLEEP = SLOT["CLIENT_ASLEEP"] // 4
_REQUEST = SLOT["REQUEST"]
_RESPONSE = SLOT["RESPONSE"]
_ROOM = SLOT["ARENA"] - SLOT["REQUEST"]
_CALLBACK = int(Status.CALLBACK)
_unpack = wire.RESPONSE.unpack_from


class Slot:
    """What a channel in shared memory waits with. The channel, which derives from this, names the errors.

    Args:
        view: the bytes of the slot.
        wake_agent: the descriptor that wakes the agent.
        woken: the descriptor that wakes us.
        spin: microseconds to spin before sleeping.
        rests: the least and the greatest number of calls without spinning after one that spun in vain.
        nap: seconds after which a sleeper looks again.
    """

    def __init__(
        self, view: memoryview, wake_agent: int, woken: int, spin: int, rests: tuple[int, int], nap: float
    ) -> None:
        self._bytes = view
        self._words = view.cast("I")
        self._serial = 0
        self._spin = self._usual_spin = range(spin * SPINS_PER_MICROSECOND)
        self._rest = 0  # calls until spinning is tried again
        self._first_rest, self._last_rest = rests
        self._next_rest = self._first_rest
        self._longest_nap = nap
        self._waking = wake_agent
        self._sleeping = woken
        self._poll = select.poll()
        self._poll.register(woken, select.POLLIN)
        self._barrier = threading.Lock()
        self._busy = False

    def _occupied(self) -> Exception:
        """What to raise for a call in the middle of another."""
        raise NotImplementedError

    def _death(self) -> WinbridgeError:
        """What to raise when the agent is gone."""
        raise NotImplementedError

    def _given_up(self) -> WinbridgeError:
        """What to raise when the channel was closed in the middle of a call."""
        raise NotImplementedError

    def _late(self, timeout: float) -> WinbridgeError:
        """What to raise when a call takes too long."""
        raise NotImplementedError

    def _oversized(self) -> WinbridgeError:
        """What to raise when the agent sends an area that is larger than the slot."""
        raise NotImplementedError

    def exchange(self, message: bytes, timeout: float | None = None) -> Record:
        """See ``contract.Channel``."""
        if self._busy:
            raise self._occupied()
        words, slot = self._words, self._bytes
        self._busy = True
        try:
            slot[_REQUEST : _REQUEST + len(message)] = message
            words[_REQUEST_SERIAL] = serial = self._serial = (self._serial + 1) & 0xFFFFFFFF
            with self._barrier:  # taking a lock is a full memory barrier
                asleep = words[_AGENT_ASLEEP]
            if asleep:
                os.write(self._waking, b"\0")
            for _ in () if asleep else self._spin:  # waking it takes longer than spinning is worth
                if words[_RESPONSE_SERIAL] == serial:
                    self._next_rest = self._first_rest
                    break
            else:
                self._adapt(asleep)
                self._sleep(serial, timeout)
            record: Record = _unpack(slot, _RESPONSE)
            if record[0] == _CALLBACK:
                return self._with_area(record)
            return record
        except BrokenPipeError:
            raise self._death() from None
        except ValueError as error:
            if not self._released():
                raise
            raise self._given_up() from error
        finally:
            self._busy = False

    def _with_area(self, record: Record) -> Record:
        if record[6] > _ROOM:
            raise self._oversized()
        return *record, bytes(self._bytes[_REQUEST : _REQUEST + record[6]])  # type: ignore[return-value]

    def _adapt(self, asleep: int) -> None:
        """Spinning in vain (a long call, a busy machine) only keeps others from running: give it a rest."""
        if self._rest:
            self._rest -= 1
            if not self._rest:
                self._spin = self._usual_spin
        elif not asleep:
            self._spin, self._rest = NO_SPIN, self._next_rest
            self._next_rest = self._first_rest if self._next_rest == self._last_rest else 2 * self._next_rest

    def _sleep(self, serial: int, timeout: float | None) -> None:
        deadline = None if timeout is None else time.monotonic() + timeout
        words = self._words
        words[_CLIENT_ASLEEP] = 1
        with self._barrier:
            pass
        while words[_RESPONSE_SERIAL] != serial:
            left = self._longest_nap if deadline is None else min(self._longest_nap, deadline - time.monotonic())
            if left <= 0:
                assert timeout is not None
                raise self._late(timeout)
            self._nap(left)
        words[_CLIENT_ASLEEP] = 0

    def _nap(self, seconds: float) -> None:
        for _, event in self._poll.poll(seconds * 1000):
            if event & select.POLLIN:
                os.read(self._sleeping, 64)
            else:
                raise self._death()

    def _released(self) -> bool:
        try:
            return not len(self._words)
        except ValueError:
            return True

    def release(self) -> bool:
        """Let the memory go; who waits in ``exchange`` finds out.

        Returns:
            False where that has to wait until ``exchange`` returns, which then calls ``close``.
        """
        self._words.release()
        return True
