"""What Redis is asked, as the bytes of its protocol."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from pipelines.online.rows import Row

# The newer of two rows stays: their event_timestamp and created_at lie at byte 9. A row of another layout gives way.
_PUT = b"""
local written = 0
for i, key in ipairs(KEYS) do
  local field, row = ARGV[2 * i - 1], ARGV[2 * i]
  local old = redis.call('HGET', key, field)
  local stays = false
  if old and string.byte(old) == string.byte(row) then
    local event, created = struct.unpack('<i8i8', row, 9)
    local old_event, old_created = struct.unpack('<i8i8', old, 9)
    stays = old_event > event or (old_event == event and old_created > created)
  end
  if not stays then
    redis.call('HSET', key, field, row)
    written = written + 1
  end
end
return written
"""


def _bulk(value: bytes) -> bytes:
    """A bulk string of Redis's protocol."""
    return b"$%d\r\n%b\r\n" % (len(value), value)


LOAD_PUT = b"*3\r\n" + b"".join(map(_bulk, (b"SCRIPT", b"LOAD", _PUT)))
_PUT_NAME = hashlib.sha1(_PUT, usedforsecurity=False).hexdigest().encode()


def read_commands(keys: Sequence[bytes], fields: Sequence[bytes]) -> bytes:
    """HMGET of all fields, for each key."""
    begin, end = b"*%d\r\n$5\r\nHMGET\r\n" % (len(fields) + 2), b"".join(map(_bulk, fields))
    return b"".join([b"%b$%d\r\n%b\r\n%b" % (begin, len(key), key, end) for key in keys])


def put_command(rows: Sequence[Row]) -> Iterator[bytes]:
    """EVALSHA of `_PUT`. redis-py would send it in pieces of 6 KB."""
    yield b"*%d\r\n%b%b" % (3 + 3 * len(rows), _bulk(b"EVALSHA"), _bulk(_PUT_NAME))
    yield _bulk(b"%d" % len(rows))
    yield from (_bulk(row.key) for row in rows)
    for row in rows:
        yield b"%b$%d\r\n" % (_bulk(row.field), len(row.packed))
        yield row.packed
        yield b"\r\n"
