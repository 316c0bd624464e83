# ruff: noqa: N815 - fields keep the standard's spelling
"""The data formats of ETSI GS QKD 014 V1.1.1, clause 6, with the standard's spelling, and its fixed texts."""

from typing import Any

import msgspec

SIZE_NOT_BYTES = "size shall be a multiple of 8"
MANDATORY_UNSUPPORTED = "not all extension_mandatory parameters are supported"

NOT_FOUND = "one or more keys specified are not found on KME"

MAX_BODY_BYTES = 64 * 1024
"""Longest request body: enough for 1024 key ids, the most that one request may have returned."""

STATUS, ENC_KEYS, DEC_KEYS = "status", "enc_keys", "dec_keys"
METHODS = {STATUS: "GET", ENC_KEYS: "GET, POST", DEC_KEYS: "GET, POST"}
"""The three methods by the last segment of their path, each with the HTTP methods it takes (clause 5)."""


OPENAPI_PATH = "/api/v1/openapi.json"
"""Where the description of the interface is: beside the three methods, not of the standard."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one request may ask for; sizes in bits; `max_sae_id_count` 0: no additional slave SAEs."""

    max_sae_id_count: int = 8
    max_key_per_request: int = 128
    max_key_size_bits: int = 1024
    min_key_size_bits: int = 64


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Status data format, 6.1; sizes in bits."""

    source_KME_ID: str
    target_KME_ID: str
    master_SAE_ID: str
    slave_SAE_ID: str
    key_size: int
    stored_key_count: int
    max_key_count: int
    max_key_per_request: int
    max_key_size: int
    min_key_size: int
    max_SAE_ID_count: int


class KeyRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Key request data format, 6.2; `size` in bits. What may be ignored is not even looked at."""

    number: int | None = None
    size: int | None = None
    additional_slave_SAE_IDs: tuple[str, ...] | None = None
    extension_mandatory: tuple[dict[str, msgspec.Raw], ...] | None = None


class KeyEntry(msgspec.Struct, frozen=True):
    """One key of a container; shows its id alone. The bits are overwritten by whoever reads them."""

    key_ID: str
    key: bytearray

    def __repr__(self) -> str:
        """Show the id and nothing of the key."""
        return f"KeyEntry({self.key_ID})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Show the id and nothing of the key."""
        return [("key_ID", self.key_ID)]


class KeyContainer(msgspec.Struct, frozen=True):
    """Key container data format, 6.3."""

    keys: tuple[KeyEntry, ...]


class KeyId(msgspec.Struct, frozen=True):
    """One entry of a Key IDs request."""

    key_ID: str


class KeyIDs(msgspec.Struct, frozen=True):
    """Key IDs data format, 6.4."""

    key_IDs: tuple[KeyId, ...]


class Unsupported(msgspec.Struct, frozen=True):
    """One detail of an error: a mandatory extension that is not supported."""

    extension_mandatory_unsupported: str


class Error(msgspec.Struct, frozen=True, omit_defaults=True):
    """Error data format, 6.5; `details` is written as the standard's example has it, a list of objects."""

    message: str
    details: tuple[Unsupported, ...] = ()
