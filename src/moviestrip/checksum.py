"""CRC-32C, the checksum of TensorFlow's files."""

import numpy as np
from numba import njit

POLYNOMIAL = 0x82F63B78  # Castagnoli's, bits reversed
MASK_DELTA = 0xA282EAD8


def _table() -> np.ndarray:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(POLYNOMIAL), table >> 1)
    return table


TABLE = _table()


@njit(cache=True)
def _update(state: np.uint32, data: np.ndarray, table: np.ndarray) -> np.uint32:
    for byte in data:
        state = table[(state ^ byte) & 0xFF] ^ (state >> np.uint32(8))
    return state


def crc32c(data: bytes | np.ndarray) -> int:
    """Of bytes, or of an array's bytes in memory order."""
    values = data if isinstance(data, np.ndarray) else np.frombuffer(data, np.uint8)
    octets = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    return int(_update(np.uint32(0xFFFFFFFF), octets, TABLE)) ^ 0xFFFFFFFF


def masked_crc32c(data: bytes | np.ndarray) -> int:
    """As it is stored: turned and shifted, so that a checksum of data that holds checksums stays meaningful."""
    checksum = crc32c(data)
    return ((checksum >> 15 | checksum << 17) + MASK_DELTA) & 0xFFFFFFFF
