"""Derive session keys from a quantum key, and talk over a channel that they protect.

The end that connects fetches a key and names it; the end that listens fetches the same key by its id. Both
add a nonce, and derive one key for each direction (HKDF with SHA-256, RFC 5869). Each line that is typed goes
to the other end, which sends it back reversed.
"""

import secrets
import sys
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from kme import as_bytes, hear, kme, meet, on_a_socket, options, say

DIRECTIONS = (b"to the end that listens", b"to the end that connected")


class Channel:
    """One direction of a protected channel: a message counter is the nonce."""

    def __init__(self, secret: bytes, salt: bytes, direction: bytes) -> None:
        self._cipher = AESGCM(HKDF(SHA256(), 32, salt, b"qstrata example, " + direction).derive(secret))
        self._count = 0

    def seal(self, plain: bytes) -> bytes:
        """Return the next message, sealed."""
        return self._cipher.encrypt(self._nonce(), plain, None)

    def open(self, sealed: bytes) -> bytes:
        """Return the next message, opened; raises InvalidTag where it is not the one that was sent."""
        return self._cipher.decrypt(self._nonce(), sealed, None)

    def _nonce(self) -> bytes:
        self._count += 1
        return self._count.to_bytes(12, "big")


def channels(secret: bytes, nonces: bytes) -> tuple[Channel, Channel]:
    """Return the channel to the end that listens, and the one back."""
    there, back = (Channel(secret, nonces, direction) for direction in DIRECTIONS)
    return there, back


def ask(stream: BinaryIO, there: Channel, back: Channel) -> None:
    """Send each line of the standard input, and print what comes back."""
    for line in sys.stdin:
        say(stream, line=there.seal(line.rstrip("\n").encode()))
        print(back.open(as_bytes(hear(stream)["line"])).decode(), flush=True)


def serve(stream: BinaryIO, there: Channel, back: Channel) -> None:
    """Send each line back, reversed, until the peer ends."""
    while True:
        try:
            plain = there.open(as_bytes(hear(stream)["line"]))
        except EOFError:
            return
        say(stream, line=back.seal(plain[::-1]))


def main() -> None:
    """Meet the peer, agree on a key, and talk."""
    given = on_a_socket(options(str(__doc__).partition("\n")[0])).parse_args()
    nonce = secrets.token_bytes(16)
    with kme(given) as client, meet(given) as stream:
        if given.connect is not None:
            (key,) = client.get_keys(given.peer, 1, 256)
            say(stream, key_id=key.key_id, nonce=nonce)
            nonces = nonce + as_bytes(hear(stream)["nonce"])
        else:
            said = hear(stream)
            (key,) = client.get_keys_by_id(given.peer, [said["key_id"]])
            say(stream, nonce=nonce)
            nonces = as_bytes(said["nonce"]) + nonce
        there, back = channels(key.bits.take(), nonces)
        try:
            (ask if given.connect is not None else serve)(stream, there, back)
        except InvalidTag:
            sys.exit("a message was changed on its way, or the keys differ: the channel is closed")


if __name__ == "__main__":
    main()
