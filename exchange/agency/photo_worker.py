"""The child process that decodes a photo: bytes in on stdin, width, height and JPEG out on stdout.

It limits its own memory and processor time before it touches the input, opens no file and no
connection, and says what is wrong by its exit code only.
"""

import io
import struct
import sys
import warnings

from PIL import Image, ImageOps, UnidentifiedImageError

from exchange.agency.photo import (
    BROKEN_IMAGE,
    MAX_PIXELS,
    NOT_AN_IMAGE,
    TOO_MANY_PIXELS,
    write_header,
)

MAX_SIDE = 2048
CPU_SECONDS = 15
MEMORY_BYTES = 1536 * 1024 * 1024
JPEG_QUALITY = 88
FORMATS = ("JPEG", "PNG", "WEBP")


def _limit_self() -> None:
    """Set hard limits on memory, processor time, files and processes where the system has them."""
    try:
        import resource
    except ImportError:  # not on Windows: the parent's time limit still holds
        return
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # It writes no file and starts no process. (The last one does not bind root, who should not run this.)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def clean_jpeg(source: bytes, side: int = MAX_SIDE) -> tuple[int, int, bytes]:
    """Width, height and JPEG bytes of the image in `source`, upright, with no metadata at all.

    It is at most `side` pixels wide and high.
    """
    image = Image.open(io.BytesIO(source), formats=FORMATS)
    if image.width * image.height > MAX_PIXELS:
        raise Image.DecompressionBombError
    upright = ImageOps.exif_transpose(image).convert("RGB")
    upright.thumbnail((side, side))
    plain = Image.new("RGB", upright.size)
    plain.paste(upright)  # pixels only: nothing the source carried comes along
    out = io.BytesIO()
    plain.save(out, format="JPEG", quality=JPEG_QUALITY, optimize=True)
    return plain.width, plain.height, out.getvalue()


def main() -> int:
    """Read stdin, write the answer, return the exit code."""
    _limit_self()
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    try:
        side = min(int(sys.argv[1]), MAX_SIDE) if len(sys.argv) > 1 else MAX_SIDE
        width, height, jpeg = clean_jpeg(sys.stdin.buffer.read(), side)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return TOO_MANY_PIXELS
    except UnidentifiedImageError:
        return NOT_AN_IMAGE
    except (OSError, ValueError, SyntaxError, MemoryError, EOFError, struct.error):
        return BROKEN_IMAGE
    sys.stdout.buffer.write(write_header(width, height) + jpeg)
    return 0


if __name__ == "__main__":
    sys.exit(main())
