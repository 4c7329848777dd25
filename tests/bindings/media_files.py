"""pymediainfo: what MediaInfo says of a sound file, a picture and a subtitle file, from memory and from disk.

Wide strings in and out, 64-bit integers as arguments and results (in 32-bit code, two words each), and one handle
through many calls.
"""

from __future__ import annotations

import io
import math
import struct
import tempfile
import wave
import zlib
from pathlib import Path

from pymediainfo import MediaInfo

ATTRIBUTES = (
    "track_type format format_version codec_id duration bit_rate_mode bit_rate channel_s sampling_rate samples_count "
    "bit_depth stream_size file_size width height color_space compression_mode proportion_of_this_stream title "
    "performer language count_of_elements other_duration other_file_size other_sampling_rate other_bit_rate"
)
SUBTITLES = """1
00:00:01,000 --> 00:00:04,500
Wine is not an emulator.

2
00:00:05,250 --> 00:00:09,000
Gr\u00fc\u00dfe \u2014 \u65e5\u672c\u8a9e
"""


def sound(seconds: float, rate: int) -> bytes:
    """Two channels of 16 bits: a tone in one, the octave in the other."""
    finished = io.BytesIO()
    with wave.open(finished, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate)
        turns = (440 * 2 * math.pi * frame / rate for frame in range(int(seconds * rate)))
        file.writeframes(
            b"".join(struct.pack("<2h", *(int(9000 * math.sin(n * turn)) for n in (1, 2))) for turn in turns)
        )
    return finished.getvalue()


def picture(width: int, height: int) -> bytes:
    """A PNG file: a gradient in RGB."""
    rows = (b"\0" + bytes(value % 256 for x in range(width) for value in (x, y, x + y)) for y in range(height))
    header = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"tEXt", b"Title\0A gradient"),
        (b"IDAT", zlib.compress(b"".join(rows), 0)),
        (b"IEND", b""),
    )
    packed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def show(title: str, info: MediaInfo) -> None:
    for track in info.tracks:
        values = {name: getattr(track, name) for name in ATTRIBUTES.split()}
        print(title, *(f"{name}={value!r}" for name, value in values.items() if value is not None), sep="\n    ")


def main() -> None:
    print("can parse", MediaInfo.can_parse())
    files = {"tone.wav": sound(2.5, 8000), "gradient.png": picture(120, 90), "talk.srt": SUBTITLES.encode()}
    for name, data in files.items():
        show(f"{name} from memory", MediaInfo.parse(io.BytesIO(data), buffer_size=1000))
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            path = Path(folder, name)
            path.write_bytes(data)
            show(f"{name} from disk", MediaInfo.parse(path))
        show("fully", MediaInfo.parse(path, parse_speed=1.0, mediainfo_options={"Language": "raw"}))
        clef = Path(
            folder, "t\u00f6ne \U0001d11e.wav"
        )  # more than 16 bits: two units in Windows' wide strings, one here
        clef.write_bytes(files["tone.wav"])
        said = MediaInfo.parse(clef, output="General;%CompleteName%").strip()
        print(ascii(Path(said).name))  # not MediaInfo's own idea of the name: on Windows no "/" ends a folder's
        print(MediaInfo.parse(clef, output="Audio;%Format%, %Channels% channels of %BitDepth% bits").strip())
        try:
            MediaInfo.parse(str(Path(folder, "missing.wav")))
        except FileNotFoundError as error:
            print("missing:", Path(str(error)).name)


if __name__ == "__main__":
    main()
