"""What the examples share: the options of an application, its KME, and messages over a socket."""

import argparse
import base64
import json
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from qstrata.core.errors import QstrataError
from qstrata.interfaces.etsi014.client import BlockingEtsi014Client

Message = dict[str, str]


def options(about: str) -> argparse.ArgumentParser:
    """Return a parser that knows what every application is given: its KME, its files, its peer."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--url", required=True, help="URL of this application's KME")
    parser.add_argument("--cert", required=True, help="its certificate (PEM)")
    parser.add_argument("--key", required=True, help="its private key (PEM)")
    parser.add_argument("--ca", required=True, help="certificate of the network's CA (PEM)")
    parser.add_argument("--peer", required=True, help="name of the SAE at the other end")
    return parser


@contextmanager
def kme(given: argparse.Namespace) -> Iterator[BlockingEtsi014Client]:
    """Give a client of the application's KME; end the program where the KME refuses or the peer goes."""
    try:
        tls = ssl.create_default_context(cafile=given.ca)
        tls.load_cert_chain(given.cert, given.key)
        with BlockingEtsi014Client(given.url, tls) as client:
            yield client
    except (QstrataError, OSError, EOFError) as fault:
        sys.exit(str(fault))


def on_a_socket(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add where to meet the peer: one end listens, the other connects."""
    end = parser.add_mutually_exclusive_group(required=True)
    end.add_argument("--listen", type=int, help="port of this machine to listen at; 0: any, which is printed")
    end.add_argument("--connect", type=int, help="port of this machine at which the peer listens")
    return parser


def meet(given: argparse.Namespace) -> BinaryIO:
    """Return the stream to the peer."""
    if given.connect is not None:
        connection = socket.create_connection(("127.0.0.1", given.connect))
    else:
        with socket.create_server(("127.0.0.1", given.listen)) as server:
            print(f"listening at {server.getsockname()[1]}", flush=True)
            connection, _ = server.accept()
    with connection:
        return connection.makefile("rwb")


def say(stream: BinaryIO, **fields: str | bytes) -> None:
    """Send one message: a JSON object a line, bytes as Base64."""
    texts = {name: as_text(value) if isinstance(value, bytes) else value for name, value in fields.items()}
    stream.write(json.dumps(texts).encode() + b"\n")
    stream.flush()


def hear(stream: BinaryIO) -> Message:
    """Return the next message; raises EOFError where the peer has gone."""
    line = stream.readline(65536)
    if not line:
        raise EOFError("the peer has ended the connection")
    message: Message = json.loads(line)
    return message


def as_text(value: bytes) -> str:
    """Return bytes as text."""
    return base64.b64encode(value).decode()


def as_bytes(text: str) -> bytes:
    """Return what `as_text` was given."""
    return base64.b64decode(text, validate=True)
