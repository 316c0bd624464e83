"""Secret bodies: own copies, and the search for key bytes in every form that text can take."""

import base64

import msgspec
import pytest

from qstrata.core.secrets import KeyMaterial
from qstrata.fabric.messages.base import Message
from qstrata.fabric.messages.delivery import DeliveredKey, EncKeys, KeysDelivered
from qstrata.fabric.secrecy import LeakScanner, own_copy, secret_fields

SECRET = bytes(range(64, 128))


class Body(Message, frozen=True, gc=False):
    text: str = ""
    data: bytes = b""
    number: int = 0


@pytest.fixture
def scanner():
    scanner = LeakScanner()
    scanner.learn(KeysDelivered(1, (DeliveredKey("id", KeyMaterial(SECRET)),)))
    return scanner


def test_secret_fields_are_found_inside_other_structs():
    assert secret_fields(KeysDelivered) == ("keys",)
    assert secret_fields(DeliveredKey) == ("bits",)
    assert secret_fields(EncKeys) == ()
    assert secret_fields(int) == ()


def test_an_own_copy_is_equal_and_outlives_the_original():
    original = KeysDelivered(
        1, (DeliveredKey("id", KeyMaterial(SECRET)), DeliveredKey("id2", KeyMaterial(b"x")))
    )
    copied = own_copy(original)
    assert copied == original
    original.keys[0].bits.wipe()
    assert copied.keys[0].bits.reveal() == SECRET
    assert copied.keys[1].key_id == "id2"


def test_a_message_without_secrets_is_its_own_copy():
    message = Body("text")
    assert own_copy(message) is message


@pytest.mark.parametrize(
    "body",
    [
        Body(data=SECRET),
        Body(data=b"before" + SECRET[5:40] + b"after"),
        Body(data=SECRET[:16]),
        Body(data=SECRET[-16:]),
        Body(text=SECRET.hex()),
        Body(text="abc" + SECRET.hex() + "def"),
        Body(text=SECRET[:16].hex().upper()),
        Body(text=base64.b64encode(SECRET).decode()),
        Body(text=base64.urlsafe_b64encode(SECRET[:16]).decode()),
        Body(text="xy" + base64.b64encode(SECRET).decode()),
        Body(data=base64.b64encode(SECRET)),
        Body(text=SECRET.decode("ascii")),
    ],
)
def test_known_key_bytes_are_found_in_clear_as_hex_and_as_base64(scanner, body):
    assert scanner.leaks(body)


@pytest.mark.parametrize(
    "body",
    [
        Body(),
        Body("a long and harmless text that is no key: 0123456789abcdef0123456789abcdef0123456789"),
        Body(data=bytes(200)),
        Body(data=SECRET[:15]),
        Body(data=SECRET[::-1]),
    ],
)
def test_other_bytes_are_not_taken_for_keys(scanner, body):
    assert not scanner.leaks(body)


def test_key_material_in_a_body_is_a_leak_even_if_it_is_unknown(scanner):
    class Sneaky(Message, frozen=True, gc=False):
        anything: object = None

    assert scanner.leaks(Sneaky(KeyMaterial(b"not seen before, not at all")))


def test_a_number_too_large_for_a_body_is_a_leak(scanner):
    assert scanner.leaks(Body(number=int.from_bytes(SECRET, "big")))


def test_short_key_material_is_learned_without_harm():
    scanner = LeakScanner()
    scanner.learn(DeliveredKey("id", KeyMaterial(b"short")))
    assert not scanner.leaks(Body("short"))


def test_the_scanner_reads_structs_inside_structs(scanner):
    class Inner(msgspec.Struct, frozen=True):
        text: str

    class Outer(Message, frozen=True, gc=False):
        rows: tuple[Inner, ...]

    assert scanner.leaks(Outer((Inner("x"), Inner(SECRET.hex()))))
