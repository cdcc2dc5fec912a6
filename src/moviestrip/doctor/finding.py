"""One line of what the doctor says."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "on demand", "optional", "missing"]


@dataclass(frozen=True)
class Finding:
    what: str
    state: State
    detail: str
