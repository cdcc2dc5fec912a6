"""What kind of video file some bytes begin, whatever the address or the host calls it."""

SNIFFED_BYTES = 512
OLD_QUICKTIME = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
PREFIXES = (
    (b"FLV\x01", ".flv"),
    (b"OggS", ".ogv"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", ".wmv"),
    (b"\x00\x00\x01\xba", ".mpg"),
    (b"\x00\x00\x01\xb3", ".mpg"),
    (b"GIF87a", ".gif"),
    (b"GIF89a", ".gif"),
)


def suffix_of(first_bytes: bytes) -> str | None:
    """The suffix under which a file that begins so is kept; none when it is no video."""
    kind = first_bytes[4:8]
    if kind == b"ftyp":
        return ".mov" if first_bytes[8:10] == b"qt" else ".mp4"
    if kind in OLD_QUICKTIME:
        return ".mov"
    if first_bytes.startswith(b"\x1a\x45\xdf\xa3"):
        return ".webm" if b"webm" in first_bytes[:64] else ".mkv"
    if first_bytes.startswith(b"RIFF") and first_bytes[8:12] == b"AVI ":
        return ".avi"
    if first_bytes[:1] == b"\x47" and first_bytes[188:189] == b"\x47":
        return ".ts"
    return next((suffix for prefix, suffix in PREFIXES if first_bytes.startswith(prefix)), None)


def first_words(first_bytes: bytes) -> str:
    """The beginning of something that is no video, on one line, for its reason."""
    text = " ".join(first_bytes[:400].decode("utf-8", "replace").split())
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:80]
