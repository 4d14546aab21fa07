"""What Redis is asked to do in one step, and the bytes that ask for it."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Sequence

from pipelines.online.rows import Row

# All fields of all keys but the last, then what is said of the store, read last: whoever finds a view's rows gone also
# finds the generation raised. One string, lengths first: a client would take ten times as long over single values.
READ = b"""
local lengths, values = {}, {}
local function add(found)
  for j = 1, #found do
    if found[j] then
      lengths[#lengths + 1] = struct.pack('<i4', #found[j])
      values[#values + 1] = found[j]
    else
      lengths[#lengths + 1] = struct.pack('<i4', -1)
    end
  end
end
if #ARGV > 0 then
  for i = 1, #KEYS - 1 do
    add(redis.call('HMGET', KEYS[i], unpack(ARGV)))
  end
end
add(redis.call('HMGET', KEYS[#KEYS], 'mark', 'generation'))
return table.concat(lengths) .. table.concat(values)
"""
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
_READ_NAME = hashlib.sha1(READ, usedforsecurity=False).hexdigest().encode()
_PUT_NAME = hashlib.sha1(_PUT, usedforsecurity=False).hexdigest().encode()


def read_command(keys: Sequence[bytes], about: bytes, fields: Sequence[bytes]) -> bytes:
    """EVALSHA of `READ`."""
    count = len(keys) + 1
    parts = [b"EVALSHA", _READ_NAME, b"%d" % count, *keys, about, *fields]
    return b"*%d\r\n" % len(parts) + b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts])


def values_of(blob: bytes, count: int) -> list[bytes | None]:
    """The values that `READ` returned."""
    lengths = struct.unpack_from(f"<{count}i", blob)
    found: list[bytes | None] = []
    at = 4 * count
    for length in lengths:
        if length < 0:
            found.append(None)
        else:
            found.append(blob[at : at + length])
            at += length
    return found


def put_command(rows: Sequence[Row]) -> Iterator[bytes]:
    """EVALSHA of `_PUT`. redis-py would send it in pieces of 6 KB."""
    yield b"*%d\r\n%b%b" % (3 + 3 * len(rows), _bulk(b"EVALSHA"), _bulk(_PUT_NAME))
    yield _bulk(b"%d" % len(rows))
    yield from (_bulk(row.key) for row in rows)
    for row in rows:
        yield b"%b$%d\r\n" % (_bulk(row.field), len(row.packed))
        yield row.packed
        yield b"\r\n"
