"""Prove to a peer who one is, and have the peer prove it: a message authentication code under a quantum key.

Only the two applications that the KMEs know by their certificates can have the key, so to hold it is to be
one of them. Both ends send a nonce, then HMAC-SHA256 over their role, both names and both nonces: an answer
cannot be replayed, reflected, or passed on as somebody else's. The key is used for one proof.
"""

import hmac
import secrets
import sys

from kme import as_bytes, hear, kme, meet, on_a_socket, options, say


def proof(secret: bytes, role: str, names: tuple[str, str], nonces: bytes) -> bytes:
    """Return the proof of the end that plays `role`; `names` are of the end that connects, then the other."""
    told = "\n".join((role, *names)).encode()
    return hmac.digest(secret, len(told).to_bytes(4, "big") + told + nonces, "sha256")


def main() -> None:
    """Meet the peer, and exchange proofs."""
    parser = on_a_socket(options(str(__doc__).partition("\n")[0]))
    parser.add_argument("--me", required=True, help="name of this application's SAE")
    given = parser.parse_args()
    mine = secrets.token_bytes(16)
    with kme(given) as client, meet(given) as stream:
        if given.connect is not None:
            (key,) = client.get_keys(given.peer, 1, 256)
            say(stream, key_id=key.key_id, nonce=mine)
            nonces = mine + as_bytes(hear(stream)["nonce"])
            roles, names = ("connects", "listens"), (given.me, given.peer)
        else:
            said = hear(stream)
            (key,) = client.get_keys_by_id(given.peer, [said["key_id"]])
            say(stream, nonce=mine)
            nonces = as_bytes(said["nonce"]) + mine
            roles, names = ("listens", "connects"), (given.peer, given.me)
        secret = key.bits.take()
        say(stream, proof=proof(secret, roles[0], names, nonces))
        shown = as_bytes(hear(stream)["proof"])
        if not hmac.compare_digest(shown, proof(secret, roles[1], names, nonces)):
            sys.exit(f"the peer is not {given.peer}")
    print(f"the peer is {given.peer}")


if __name__ == "__main__":
    main()
