"""PyMySQL's cursor, reading whole results at once: as fast for a short read as the drivers in C, and never compiled.

PyMySQL makes an object of each packet and parses the description of each column at each execution, which costs more
than all the rest of a short read. Here packets are taken as bytes, and what the columns of a statement are is
remembered by the very bytes that describe them. What a value becomes is PyMySQL's decision (its ``decoders``), and so
are connecting, quoting, sending and failing.
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from struct import pack, unpack_from
from typing import Any, Self

from pymysql import err
from pymysql.connections import Connection, MySQLResult
from pymysql.constants import COMMAND, CR, SERVER_STATUS
from pymysql.cursors import Cursor
from pymysql.protocol import MysqlPacket

from core.storage.mysql.encryption import unchecked

_LONGEST_PACKET = 0xFFFFFF
_ERROR, _END = 0xFF, 0xFE
# an end is shorter than any row that begins with the same byte
_END_BYTES = 9
_NULL = 251
# how many bytes of a value's length follow its first byte, from 252
_LENGTH_BYTES = (2, 3, 8)
# descriptions of columns that are remembered; a process has some hundreds of statements
_REMEMBERED = 1000
_LOST = "Lost connection to MySQL server during query"

_Decode = Callable[[bytes], Any]


class ClosingConnection(Connection):
    """PyMySQL's connection, which closes the server's socket also where nobody listens at it, and reads certificates
    only where one is to be checked."""

    def connect(self, sock: Any = None) -> None:
        own: Any = self
        if sock is None and own.unix_socket:
            sock = self._opened(own.unix_socket, own.connect_timeout)
            own.host_info, own._secure = "Localhost via UNIX socket", True
        super().connect(sock)

    @staticmethod
    def _opened(path: str, seconds: float) -> socket.socket:
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            opened.settimeout(seconds)
            opened.connect(path)
        except OSError as error:
            opened.close()
            failed: Any = err.OperationalError(CR.CR_CONN_HOST_ERROR, f"Can't connect to MySQL server ({error})")
            failed.original_exception = error
            raise failed from error
        return opened

    def _create_ssl_ctx(self, sslp: Any) -> Any:
        base: Any = super()
        return base._create_ssl_ctx(sslp) if sslp else unchecked()


class FastCursor(Cursor):
    """For ``pymysql.connect(cursorclass=…)``."""

    def _query(self, q: Any) -> int:
        # what its stubs do not tell of
        cursor: Any = self
        connection = cursor._get_db()
        cursor._clear_result()
        _send(connection, q)
        connection._result = None
        result = _Result(connection)
        result.read()
        connection._result = result
        if result.server_status is not None:
            connection.server_status = result.server_status
        cursor._do_get_result()
        return int(self.rowcount)


def _send(connection: Any, query: str | bytes) -> None:
    """A statement on its way, in one packet where it fits. Raises PyMySQL's errors."""
    sql = query.encode(connection.encoding) if isinstance(query, str) else query
    idle = connection._result is None or not (connection._result.unbuffered_active or connection._result.has_next)
    if not (connection._sock and idle and len(sql) < _LONGEST_PACKET - 1):
        connection._execute_command(COMMAND.COM_QUERY, sql)
        return
    connection._write_bytes(pack("<iB", len(sql) + 1, COMMAND.COM_QUERY) + sql)
    connection._next_seq_id = 1


class _Result(MySQLResult):
    """A result whose columns and rows are read here; all other answers (done, error) are the base's."""

    connection: Any

    def _get_descriptions(self) -> None:
        connection = self.connection
        first = _packet(connection)
        key = (connection.encoding, self.field_count, first)
        columns = _remembered.get(key)
        if columns is None or not columns.follow(connection._rfile):
            packets = [first, *(_packet(connection) for _ in range(1, self.field_count))]
            columns = _Columns.read(connection, packets)
            if len(_remembered) >= _REMEMBERED:
                _remembered.clear()
            _remembered[key] = columns
        _packet(connection)
        self.description, self._decoders = columns.description, columns.decoders

    def _read_rowdata_packet(self) -> None:
        connection, decoders = self.connection, self._decoders
        rows = []
        while True:
            packet = _packet(connection)
            if packet[0] == _END and len(packet) < _END_BYTES:
                self.warning_count, status = unpack_from("<HH", packet, 1)
                self.has_next = status & SERVER_STATUS.SERVER_MORE_RESULTS_EXISTS
                break
            rows.append(_row(packet, decoders))
        self.affected_rows = len(rows)
        self.rows = tuple(rows)


def _packet(connection: Any) -> bytes:
    """The next packet's content. Raises PyMySQL's errors, the server's own included."""
    read = connection._rfile.read
    content: bytes = b""
    while True:
        try:
            head = read(4)
            length = head[0] | head[1] << 8 | head[2] << 16
            part = read(length)
            whole = len(part) == length
        except (OSError, IndexError):
            whole = False
        except BaseException:
            # what is left of the answer would be taken for the next one's
            connection._force_close()
            raise
        if not whole:
            connection._force_close()
            raise err.OperationalError(CR.CR_SERVER_LOST, _LOST)
        content = content + part if content else part
        if length < _LONGEST_PACKET:
            break
    connection._next_seq_id = (head[3] + 1) & 0xFF
    if content[:1] == b"\xff":
        MysqlPacket(content, connection.encoding).raise_for_error()
    return content


class _Packets:
    """Stands in for a connection that is about to deliver packets which were taken from it."""

    def __init__(self, connection: Any, packets: list[bytes]) -> None:
        self.use_unicode = connection.use_unicode
        self.encoding = connection.encoding
        self.decoders = connection.decoders
        self._packets = iter([*packets, bytes([_END, 0, 0, 0, 0])])

    def _read_packet(self, packet_type: Any = MysqlPacket) -> Any:
        return packet_type(next(self._packets), self.encoding)


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns of a statement: ``description`` as the DB API has it, how each value is read, and the bytes that
    follow the description of the first one, with the heads of their packets."""

    description: Any
    decoders: tuple[_Decode, ...]
    rest: bytes

    @classmethod
    def read(cls, connection: Any, packets: list[bytes]) -> Self:
        base: Any = MySQLResult
        plain = base(_Packets(connection, packets))
        plain.field_count = len(packets)
        plain._get_descriptions()
        decoders = tuple(_decode(encoding, converter) for encoding, converter in plain.converters)
        # the answer's first packet has number 1, the first column's 2
        heads = (len(packet).to_bytes(3, "little") + bytes([number & 0xFF]) for number, packet in enumerate(packets, 2))
        whole = [head + packet for head, packet in zip(heads, packets, strict=True)]
        return cls(plain.description, decoders, b"".join(whole[1:]))

    def follow(self, stream: Any) -> bool:
        """Take the rest of the description from ``stream`` if it is what comes next, and has arrived."""
        size = len(self.rest)
        if stream.peek(size)[:size] != self.rest:
            return False
        stream.read(size)
        return True


# by encoding, number of columns and the first one's description
_remembered: dict[tuple[str, int, bytes], _Columns] = {}


def _decode(encoding: str | None, converter: Callable[[Any], Any] | None) -> _Decode:
    if encoding is None:
        return converter or bytes
    if converter is None:
        return bytes.decode if encoding in ("utf8", "ascii") else partial(str, encoding=encoding)
    if converter in (int, float):
        # they read bytes as well
        return converter
    return lambda value: converter(value.decode(encoding))


def _row(packet: bytes, decoders: tuple[_Decode, ...]) -> tuple[Any, ...]:
    row: list[Any] = []
    position = 0
    for decode in decoders:
        length = packet[position]
        position += 1
        if length >= _NULL:
            if length == _NULL:
                row.append(None)
                continue
            size = _LENGTH_BYTES[length - 252]
            length = int.from_bytes(packet[position : position + size], "little")
            position += size
        end = position + length
        row.append(decode(packet[position:end]))
        position = end
    return tuple(row)
