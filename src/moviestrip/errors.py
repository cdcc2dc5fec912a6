"""The four ways a stage may fail, and what each means to whoever runs it.

A message names the file, the key or the two shapes involved, and the way out, on one line.
"""


class MoviestripError(Exception):
    """Base of every failure that moviestrip raises on purpose."""

    exit_code = 1


class ConfigError(MoviestripError):
    """The configuration is wrong: found before any job runs."""

    exit_code = 2


class FatalError(MoviestripError):
    """The stage cannot go on; a rerun changes nothing until a person acts."""

    exit_code = 3


class StorageError(FatalError):
    """A file is damaged, of the wrong kind, too large to trust, or cannot be written."""


class RetryableError(MoviestripError):
    """The same call may succeed later (a busy host, a killed subprocess): exit code 75, as in sysexits.h."""

    exit_code = 75


class QuarantineError(MoviestripError):
    """One row (a video, a frame, a clip) is unusable: the stage records `reason` and carries on."""

    def __init__(self, reason: str, detail: str):
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
