"""Seal a file with quantum keys, and open it at the other end.

`aead` takes one key and AES-256-GCM. `otp` takes as many bits as the file has, and one key more for a
one-time authenticator (Poly1305, RFC 8439, 2.5): a one-time pad alone hides, and does not protect, what it
carries. Keys are named in the head of the sealed file; each is used once.
"""

import json
import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.poly1305 import Poly1305
from kme import kme, options

from qstrata.core.secrets import xor
from qstrata.interfaces.etsi014.client import BlockingEtsi014Client

NONCE = bytes(12)
"""A key that is used once needs no other."""
TAG_BYTES = 16


def seal(client: BlockingEtsi014Client, peer: str, mode: str, plain: bytes) -> bytes:
    """Return the sealed file: its head, an end of line, ciphertext and tag."""
    if mode == "aead":
        (key,) = client.get_keys(peer, 1, 256)
        head = json.dumps({"mode": mode, "keys": [key.key_id]}).encode()
        return head + b"\n" + AESGCM(key.bits.take()).encrypt(NONCE, plain, head)
    status = client.status(peer)
    number = -(-len(plain) * 8 // status.max_key_size) + 1
    if number > status.max_key_per_request:
        raise SystemExit(f"{len(plain)} bytes need {number} keys, the KME gives {status.max_key_per_request}")
    keys = client.get_keys(peer, number, status.max_key_size)
    head = json.dumps({"mode": mode, "keys": [key.key_id for key in keys]}).encode()
    pad, once = b"".join(key.bits.take() for key in keys[1:]), keys[0].bits.take()[:32]
    hidden = xor(plain, pad[: len(plain)])
    return head + b"\n" + hidden + Poly1305.generate_tag(once, head + hidden)


def opened(client: BlockingEtsi014Client, peer: str, sealed: bytes) -> bytes:
    """Return what the peer sealed.

    Raises InvalidTag, InvalidSignature, ValueError or LookupError where anything was changed.
    """
    head, _, body = sealed.partition(b"\n")
    said = json.loads(head)
    keys = client.get_keys_by_id(peer, said["keys"])
    if said["mode"] == "aead":
        return AESGCM(keys[0].bits.take()).decrypt(NONCE, body, head)
    hidden, tag = body[:-TAG_BYTES], body[-TAG_BYTES:]
    Poly1305.verify_tag(keys[0].bits.take()[:32], head + hidden, tag)
    pad = b"".join(key.bits.take() for key in keys[1:])
    return xor(hidden, pad[: len(hidden)])


def main() -> None:
    """Seal or open a file."""
    parser = options(str(__doc__).partition("\n")[0])
    parser.add_argument("what", choices=("seal", "open"))
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--mode", choices=("aead", "otp"), default="aead")
    given = parser.parse_args()
    data = given.source.read_bytes()
    with kme(given) as client:
        if given.what == "seal":
            given.target.write_bytes(seal(client, given.peer, given.mode, data))
            return
        try:
            plain = opened(client, given.peer, data)
        except (InvalidTag, InvalidSignature, ValueError, LookupError):
            sys.exit("this is no sealed file, or it was changed on its way: nothing is opened")
    given.target.write_bytes(plain)


if __name__ == "__main__":
    main()
