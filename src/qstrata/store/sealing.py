"""Sealing of rows at rest: AES-256-GCM bound to the row's place, and who provides the sealing key."""

import os
import secrets
import stat
import tempfile
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from qstrata.core.errors import EnvironmentFaultError, InputError, SealedError
from qstrata.core.secrets import KeyMaterial

KEY_BYTES = 32
TAG_BYTES = 16
_SALT_BYTES = 16
_NONCE_BYTES = 12
_SEALS_PER_SALT = 1 << 31
_ARGON2_LANES = 4
_ARGON2_ITERATIONS = 3
_ARGON2_MEMORY_KIB = 64 * 1024


class KeyProvider(Protocol):
    """Bring the key that seals a store: a file, a passphrase, a hardware module."""

    def key(self) -> KeyMaterial:
        """Return the 32-byte key, the caller's own copy; EnvironmentFaultError where it cannot be had."""
        ...


class FileKeyProvider:
    """Keep the key in a file that only its owner may read, made on first use.

    Put it outside the folder of the data: whoever copies both has the keys in the clear.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def key(self) -> KeyMaterial:
        """Return the key; EnvironmentFaultError where others may read its file or its length is wrong."""
        try:
            if not self._path.exists():
                _create_durably(self._path, secrets.token_bytes(KEY_BYTES))
            return self._read()
        except OSError as error:
            raise EnvironmentFaultError(
                f"the sealing key {self._path} cannot be read or made ({error.strerror}): "
                "check the folder and its permissions"
            ) from error

    def _read(self) -> KeyMaterial:
        with self._path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise EnvironmentFaultError(
                    f"the sealing key {self._path} has mode {mode:04o} and may be read by others: "
                    f"run `chmod 600 {self._path}`, and change the key if others did read it"
                )
            data = file.read(KEY_BYTES + 1)
        if len(data) != KEY_BYTES:
            raise EnvironmentFaultError(
                f"the sealing key {self._path} is not {KEY_BYTES} bytes long: bring it back from a backup"
            )
        return KeyMaterial(data)


class PassphraseKeyProvider:
    """Derive the key from a passphrase by Argon2id (RFC 9106, section 4, second choice: 64 MiB).

    The salt is made on first use and stored in a file beside the store; it is no secret, but without
    it the store stays sealed.
    """

    def __init__(self, passphrase: KeyMaterial, salt_path: Path) -> None:
        if not len(passphrase):
            raise InputError("the passphrase of the store is empty: give at least one character")
        self._passphrase = passphrase
        self._salt_path = salt_path

    def key(self) -> KeyMaterial:
        """Return the derived key; EnvironmentFaultError where the salt cannot be read or made."""
        try:
            if not self._salt_path.exists():
                _create_durably(self._salt_path, secrets.token_bytes(_SALT_BYTES))
            salt = self._salt_path.read_bytes()
        except OSError as error:
            raise EnvironmentFaultError(
                f"the salt {self._salt_path} cannot be read or made ({error.strerror}): "
                "check the folder and its permissions"
            ) from error
        if len(salt) != _SALT_BYTES:
            raise EnvironmentFaultError(
                f"the salt {self._salt_path} is not {_SALT_BYTES} bytes long: bring it back from a backup"
            )
        derivation = Argon2id(
            salt=salt,
            length=KEY_BYTES,
            iterations=_ARGON2_ITERATIONS,
            lanes=_ARGON2_LANES,
            memory_cost=_ARGON2_MEMORY_KIB,
        )
        return KeyMaterial(derivation.derive(self._passphrase.reveal()))


class Sealer:
    """Seal and open rows with AES-256-GCM; the place of a row (node, kind, key) is bound as AAD.

    A sealed body is salt, nonce, ciphertext and tag. Rows are sealed with a key derived from the
    sealing key and a random salt, drawn when the sealer is made and again every 2^31 rows, so that
    random 96-bit nonces stay below the bound of NIST SP 800-38D, 8.3, however long the store lives.
    """

    def __init__(self, key: KeyMaterial) -> None:
        if len(key) != KEY_BYTES:
            raise EnvironmentFaultError(f"a sealing key has {KEY_BYTES} bytes, the provider gave {len(key)}")
        self._key = key
        self._ciphers: dict[bytes, AESGCM] = {}
        self._renew()

    def seal(self, node: str, kind: str, key: str, body: bytes) -> bytes:
        """Return the sealed body of the row at this place."""
        if self._left == 0:
            self._renew()
        self._left -= 1
        nonce = os.urandom(_NONCE_BYTES)
        return self._salt + nonce + self._cipher.encrypt(nonce, body, _place(node, kind, key))

    def open(self, node: str, kind: str, key: str, sealed: bytes) -> bytes:
        """Return the body sealed for this place; SealedError, naming the row, where it is not that."""
        salt, nonce = sealed[:_SALT_BYTES], sealed[_SALT_BYTES : _SALT_BYTES + _NONCE_BYTES]
        try:
            return self._derived(salt).decrypt(
                nonce, sealed[_SALT_BYTES + _NONCE_BYTES :], _place(node, kind, key)
            )
        except (InvalidTag, ValueError):
            raise SealedError(
                f"row {kind}/{key} of node {node} does not open: it was damaged, moved or sealed otherwise; "
                "bring the store back from a backup"
            ) from None

    def _renew(self) -> None:
        self._salt = os.urandom(_SALT_BYTES)
        self._cipher = self._derived(self._salt)
        self._left = _SEALS_PER_SALT

    def _derived(self, salt: bytes) -> AESGCM:
        cipher = self._ciphers.get(salt)
        if cipher is None:
            derived = blake2b(salt, key=self._key.reveal(), digest_size=KEY_BYTES, person=b"qstrata store")
            cipher = self._ciphers[salt] = AESGCM(derived.digest())
        return cipher


def tag(sealed: bytes) -> int:
    """Return the authentication tag of a sealed body as a number."""
    return int.from_bytes(sealed[-TAG_BYTES:], "big")


def sync_folder(folder: Path) -> None:
    """Make the entries of a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _place(node: str, kind: str, key: str) -> bytes:
    return msgspec.msgpack.encode((node, kind, key))


def _create_durably(path: Path, data: bytes) -> None:
    """Write a 0600 file that is there whole or not at all; leave one that another process made first."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(name, path)
        except FileExistsError:
            return
        sync_folder(path.parent)
    finally:
        os.unlink(name)
