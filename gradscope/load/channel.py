"""Messages between the parent and its child process: msgpack behind an eight-byte length."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import msgspec

HEADER = 8  # bytes
CHUNK = 1 << 20  # bytes read at once
LARGEST = 1 << 30  # bytes: a longer message is garbage


def send(connection: socket.socket, message: list[Any]) -> None:
    """Send one message and wait until it is written."""
    payload = msgspec.msgpack.encode(message)
    connection.sendall(len(payload).to_bytes(HEADER, "big") + payload)


def receive(connection: socket.socket) -> list[Any]:
    """Wait for one message.

    Raises:
        EOFError: the other side is gone.
    """
    inbox = Inbox()
    while True:
        chunk = connection.recv(CHUNK)
        if not chunk:
            raise EOFError("the connection was closed")
        for message in inbox.add(chunk):
            return message


class Inbox:
    """Bytes that have arrived, given out as whole messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def add(self, chunk: bytes) -> Iterator[list[Any]]:
        """Take in bytes and yield every message that is complete.

        Raises:
            ValueError: the bytes are no messages.
        """
        self._buffer += chunk
        while len(self._buffer) >= HEADER:
            end = HEADER + int.from_bytes(self._buffer[:HEADER], "big")
            if end > LARGEST:
                raise ValueError("the length of a message is garbage")
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[HEADER:end])
            del self._buffer[:end]
            message = msgspec.msgpack.decode(payload)  # its errors are ValueErrors
            if not isinstance(message, list) or not message:
                raise ValueError("a message is garbage")
            yield message
