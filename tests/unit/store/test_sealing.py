from pathlib import Path

import pytest

from qstrata.core.errors import EnvironmentFaultError, InputError, SealedError
from qstrata.core.secrets import KeyMaterial
from qstrata.store.sealing import FileKeyProvider, PassphraseKeyProvider, Sealer


def sealer(key: bytes = b"k" * 32) -> Sealer:
    return Sealer(KeyMaterial(key))


def test_what_was_sealed_opens_at_its_place_also_for_another_sealer_of_the_key():
    sealed = sealer().seal("node", "key", "id", b"body")
    assert sealer().open("node", "key", "id", sealed) == b"body"


def test_the_same_body_is_never_sealed_to_the_same_bytes():
    one = sealer()
    assert len({one.seal("n", "k", "i", b"body") for _ in range(100)}) == 100


def test_sealed_bytes_do_not_hold_the_body():
    assert b"secret bits" not in sealer().seal("n", "k", "i", b"the secret bits of a key")


@pytest.mark.parametrize(
    "place", [("other", "k", "i"), ("n", "other", "i"), ("n", "k", "other"), ("n", "ki", "")]
)
def test_a_row_that_was_moved_does_not_open_and_is_named(place: tuple[str, str, str]):
    sealed = sealer().seal("n", "k", "i", b"body")
    with pytest.raises(SealedError, match=f"row {place[1]}/{place[2]} of node {place[0]}"):
        sealer().open(*place, sealed)


def test_every_flipped_bit_is_detected():
    sealed = sealer().seal("n", "k", "i", b"body")
    for bit in range(len(sealed) * 8):
        flipped = bytearray(sealed)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SealedError):
            sealer().open("n", "k", "i", bytes(flipped))


@pytest.mark.parametrize("length", range(0, 60, 7))
def test_a_row_cut_short_is_detected(length: int):
    with pytest.raises(SealedError):
        sealer().open("n", "k", "i", sealer().seal("n", "k", "i", b"x" * 20)[:length])


def test_another_key_does_not_open():
    with pytest.raises(SealedError):
        sealer(b"other key".ljust(32)).open("n", "k", "i", sealer().seal("n", "k", "i", b"body"))


def test_a_key_of_another_length_is_refused():
    with pytest.raises(EnvironmentFaultError, match="32 bytes, the provider gave 16"):
        sealer(b"k" * 16)


def test_key_file_is_made_once_for_its_owner_alone(tmp_path: Path):
    path = tmp_path / "keys" / "sealing"
    first = FileKeyProvider(path).key()
    assert len(first) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert FileKeyProvider(path).key() == first
    assert [file.name for file in path.parent.iterdir()] == ["sealing"]
    assert FileKeyProvider(tmp_path / "other").key() != first


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_key_file_that_others_may_touch_is_refused_with_the_cure(tmp_path: Path, mode: int):
    path = tmp_path / "sealing"
    FileKeyProvider(path).key()
    path.chmod(mode)
    with pytest.raises(EnvironmentFaultError, match=f"chmod 600 {path}"):
        FileKeyProvider(path).key()


@pytest.mark.parametrize("length", [0, 31, 33])
def test_key_file_of_another_length_is_refused_and_kept(tmp_path: Path, length: int):
    path = tmp_path / "sealing"
    path.write_bytes(b"k" * length)
    path.chmod(0o600)
    with pytest.raises(EnvironmentFaultError, match="not 32 bytes long"):
        FileKeyProvider(path).key()
    assert len(path.read_bytes()) == length


def test_key_file_in_a_place_that_cannot_be_is_an_environment_fault(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentFaultError, match="check the folder"):
        FileKeyProvider(tmp_path / "file" / "sealing").key()


def test_passphrase_gives_the_same_key_with_its_salt_and_another_otherwise(tmp_path: Path):
    def key(passphrase: bytes, salt: str) -> KeyMaterial:
        return PassphraseKeyProvider(KeyMaterial(passphrase), tmp_path / salt).key()

    first = key(b"open sesame", "one")
    assert len(first) == 32
    assert key(b"open sesame", "one") == first
    assert key(b"open barley", "one") != first
    assert key(b"open sesame", "two") != first


def test_passphrase_needs_its_salt_whole_and_is_not_empty(tmp_path: Path):
    (tmp_path / "salt").write_bytes(b"short")
    with pytest.raises(EnvironmentFaultError, match="salt"):
        PassphraseKeyProvider(KeyMaterial(b"open sesame"), tmp_path / "salt").key()
    with pytest.raises(InputError, match="empty"):
        PassphraseKeyProvider(KeyMaterial(b""), tmp_path / "salt")
