"""Rows of the ledger as bytes: JSON objects by field name, one decoder a kind.

JSON, because instants are integers of any size: 64 bits of picoseconds, the most that MessagePack
holds, are 213 days. The bytes hold key material in the clear (base64): they are made to be sealed, or
to stay in memory.
"""

from binascii import a2b_base64
from typing import Any

import msgspec

from qstrata.core.effects import Record
from qstrata.core.errors import EnvironmentFaultError, InternalError
from qstrata.core.secrets import KeyMaterial
from qstrata.store.records import (
    BatchRecord,
    BlockBits,
    BlockState,
    KeyRecord,
    KeyTotals,
    KmeRegistry,
    PoolTotals,
    SessionMark,
    SessionRecord,
    TagKey,
    TagTotals,
    TransferLeg,
)

KINDS: dict[str, type[Record]] = {
    record.kind: record
    for record in (
        BatchRecord,
        BlockBits,
        BlockState,
        KeyRecord,
        KeyTotals,
        KmeRegistry,
        PoolTotals,
        SessionMark,
        SessionRecord,
        TagKey,
        TagTotals,
        TransferLeg,
    )
}

SECRET_KINDS = frozenset({BlockBits.kind, KeyRecord.kind, TagKey.kind})


def _reveal(value: object) -> bytes:
    if isinstance(value, KeyMaterial):
        return value.reveal()
    raise InternalError(f"the ledger has no form for {type(value).__name__}")


def _hide(kind: type, value: Any) -> KeyMaterial:
    if kind is KeyMaterial and isinstance(value, str):
        return KeyMaterial(a2b_base64(value, strict_mode=True))
    raise InternalError(f"the ledger cannot read {kind.__name__} from {type(value).__name__}")


_encoder = msgspec.json.Encoder(enc_hook=_reveal)
_decoders = {kind: msgspec.json.Decoder(record, dec_hook=_hide) for kind, record in KINDS.items()}


def known(record: Record) -> Record:
    """Return the record itself; InternalError where its type is not one of `KINDS`."""
    if KINDS.get(record.kind) is not type(record):
        raise InternalError(f"{type(record).__name__} is no kind of row: list it in qstrata.store.codec")
    return record


def encode(record: Record) -> bytes:
    """Return the bytes of a record; InternalError where its type is not one of `KINDS`."""
    return _encoder.encode(known(record))


def decode(kind: str, body: bytes) -> Record:
    """Return the record of `kind` that `encode` gave as `body`.

    Raises EnvironmentFaultError for a kind or form that this version of qstrata does not know.
    """
    decoder = _decoders.get(kind)
    if decoder is None:
        raise EnvironmentFaultError(
            f"rows of kind {kind!r} are unknown here: use the version that wrote them"
        )
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, InternalError, ValueError):
        # The cause is cut off: it could quote the body.
        raise EnvironmentFaultError(
            f"a row of kind {kind!r} has another form than this version knows: use the version that wrote it"
        ) from None
