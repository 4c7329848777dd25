"""How a connection begins: both preambles, authentication where it is asked for, both HELLOs."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from winbridge.remote import protocol
from winbridge.remote.errors import DisconnectError, ProtocolError
from winbridge.remote.frames import encode
from winbridge.remote.protocol import Ask, Kind, State

if TYPE_CHECKING:
    from winbridge.remote.carriers.shared import Offer
    from winbridge.remote.link import Link
    from winbridge.remote.options import Options

HOST_FILES = ("/proc/sys/kernel/random/boot_id", "Z:/proc/sys/kernel/random/boot_id")
"""Where Linux tells which machine this is, since when; the second as a Windows Python sees it on Wine."""


def shake_hands(link: Link, options: Options, server: bool) -> None:
    """Get to know the peer.

    Args:
        link: its ``peer`` and ``most`` are set.
        options: of this side.
        server: whether the other side has connected to this one.

    Raises:
        DisconnectError: the peer has ended, is too slow, or does not prove that it knows the secret.
        ProtocolError: it speaks something else.
    """
    link.reader.deadline = time.monotonic() + options.timeout
    _first_bytes(link, options, server)
    offer = _offer(link, options, server)
    try:
        hello = introduction(options)
        if offer is not None:
            hello["memory"] = offer.text
        link.carrier.write(encode(Kind.HELLO, 0, 0, 0, protocol.pack_fields(hello)))
        link.peer = protocol.unpack_fields(_read(link))
        link.most = _limit(link.peer)
        _share_memory(link, options, offer)
    finally:
        if offer is not None:
            offer.close()
    link.reader.state = State.READY
    link.reader.deadline = None


def _read(link: Link) -> bytes | bytearray:
    frame = link.reader.read()
    if frame.kind == Kind.BYE:
        raise DisconnectError(f"the peer does not want us: {bytes(frame.payload).decode('utf-8', 'replace')}")
    return frame.payload


def _offer(link: Link, options: Options, server: bool) -> Offer | None:
    if server or not options.shared_memory or not link.carrier.waits:
        return None
    from winbridge.remote.carriers import shared

    try:
        return shared.Offer() if shared.possible() else None
    except OSError:  # there are other ways
        return None


def _share_memory(link: Link, options: Options, offer: Offer | None) -> None:
    """Go on in shared memory, if one side offers it and the other finds it; of two offers the greater counts."""
    ours = "" if offer is None else offer.text
    theirs = link.peer.get("memory", "") if options.shared_memory else ""
    if theirs > ours:
        _take(link, theirs)
    elif ours and link.peer.get("shared_memory") == "1":
        link.reader.state = State.SHARING
        if _read(link):
            assert offer is not None
            link.share(offer.take())


def _take(link: Link, offer: str) -> None:
    from winbridge.remote.carriers import shared

    memory = shared.find(offer) if shared.possible() and link.carrier.waits else None
    link.carrier.write(encode(Kind.SHARE, 0, 0, 0, b"" if memory is None else b"1"))
    if memory is not None:
        link.share(memory)


def _first_bytes(link: Link, options: Options, server: bool) -> None:
    ours = protocol.preamble(Ask.SECRET if options.secret is not None else 0)
    link.carrier.write([ours])
    theirs = link.reader.exactly(protocol.PREAMBLE.size)
    _, asks = protocol.agree(theirs)
    if options.secret is None:
        if asks & Ask.SECRET:
            raise DisconnectError("the peer asks for a secret: give Options(secret=...)")
        return
    if not asks & Ask.SECRET:
        raise DisconnectError("the peer knows no secret; give it the one of this side with Options(secret=...)")
    from winbridge.remote.authentication import Secret, authenticate_client, authenticate_server

    authenticate = authenticate_server if server else authenticate_client
    preambles = theirs + ours if server else ours + theirs
    authenticate(Secret(options.secret), preambles, link.reader.exactly, lambda data: link.carrier.write([data]))


def _limit(peer: dict[str, str]) -> int:
    try:
        return int(peer["max_message"])
    except (KeyError, ValueError):
        raise ProtocolError(f"the peer's HELLO does not tell how large messages may be: {peer}") from None


def introduction(options: Options) -> dict[str, str]:
    """The fields of our HELLO."""
    return {
        "python": ".".join(map(str, sys.version_info[:3])),
        "implementation": sys.implementation.name,
        "platform": sys.platform,
        "pid": str(os.getpid()),
        "host": host(),
        "max_message": str(options.max_message),
        "accept_exported_modules": str(int(options.accept_exported_modules)),
        "shared_memory": str(int(options.shared_memory)),
    }


def host() -> str:
    """What only processes on the same machine have in common."""
    for file in HOST_FILES:
        try:
            with open(file) as opened:
                return opened.read().strip()
        except OSError:
            pass
    import socket

    return socket.gethostname()
