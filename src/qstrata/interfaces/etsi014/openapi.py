"""The interface as an OpenAPI 3.1 document, made of the types and texts that the code itself uses."""

from typing import Any

import msgspec

from qstrata.interfaces.etsi014.types import (
    DEC_KEYS,
    ENC_KEYS,
    METHODS,
    OPENAPI_PATH,
    STATUS,
    Error,
    KeyContainer,
    KeyIDs,
    KeyRequest,
    Limits,
    Status,
)

Json = dict[str, Any]
"""A piece of the document: a foreign format, and nothing of ours reads it."""

VERSION = "1.1.1"

_REFUSALS = {
    400: "The request is at fault, or one or more keys are not found on the KME; nothing was consumed.",
    401: "The SAE is not known, or may not have what it asks for; nothing was consumed.",
    404: "Outside the standard: no such resource.",
    405: "Outside the standard: the resource takes other HTTP methods.",
    408: "Outside the standard: the request came too slowly; the connection is closed.",
    413: "Outside the standard: the body is too long.",
    415: "Outside the standard: the body is not JSON.",
    429: "Outside the standard: the SAE asks too often.",
    503: "The KME cannot serve now; Retry-After says when keys are expected, where that is known.",
}
_UUID_PATTERN = "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"


def openapi_document(limits: Limits) -> Json:
    """Return the description of a KME with these limits, as JSON values."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ETSI GS QKD 014 V1.1.1, REST-based key delivery",
            "version": VERSION,
            "description": (
                "Keys for pairs of SAEs, over TLS with mutual authentication: the client's certificate "
                "says which SAE asks. Names in paths are percent-encoded. Answers that carry keys are given "
                "once: a lost answer is not repeated."
            ),
        },
        "security": [{"mutualTLS": []}],
        "paths": {
            f"/api/v1/keys/{{slave_SAE_ID}}/{STATUS}": _path("slave_SAE_ID", get=_status()),
            f"/api/v1/keys/{{slave_SAE_ID}}/{ENC_KEYS}": _path(
                "slave_SAE_ID",
                get=_operation("getKeySimple", "Get key (5.2), by number and size only", KeyContainer)
                | {"parameters": [_query("number", _number(limits)), _query("size", _size(limits))]},
                post=_operation("getKey", "Get key (5.2)", KeyContainer)
                | {"requestBody": _body(KeyRequest, required=False)},
            ),
            f"/api/v1/keys/{{master_SAE_ID}}/{DEC_KEYS}": _path(
                "master_SAE_ID",
                get=_operation("getKeyWithKeyId", "Get key with key IDs (5.3), of one key", KeyContainer)
                | {"parameters": [_query("key_ID", _key_id(), required=True)]},
                post=_operation("getKeyWithKeyIds", "Get key with key IDs (5.3)", KeyContainer)
                | {"requestBody": _body(KeyIDs, required=True)},
            ),
            OPENAPI_PATH: {"get": _description()},
        },
        "components": {
            "schemas": _schemas(limits),
            "securitySchemes": {"mutualTLS": {"type": "mutualTLS"}},
        },
    }


def openapi_bytes(limits: Limits) -> bytes:
    """Return the document as it is served."""
    return msgspec.json.encode(openapi_document(limits))


def openapi_text(limits: Limits) -> str:
    """Return the document for people: indented, with a line end."""
    return msgspec.json.format(openapi_bytes(limits), indent=2).decode() + "\n"


def _path(name: str, **operations: Json) -> Json:
    given = sorted(f"{method.upper()}" for method in operations)
    assert any(given == sorted(methods.split(", ")) for methods in METHODS.values())
    parameter = {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    return {"parameters": [parameter], **operations}


def _status() -> Json:
    return _operation("getStatus", "Get status (5.1)", Status)


def _description() -> Json:
    operation = _operation("getDescription", "This description; not of the standard", None)
    return operation | {"tags": ["description"]}


def _operation(name: str, summary: str, answer: type | None) -> Json:
    schema: Json = {"type": "object"} if answer is None else {"$ref": _ref(answer)}
    responses = {"200": {"description": "As asked.", "content": _json(schema)}}
    for status, text in _REFUSALS.items():
        responses[str(status)] = {"description": text, "content": _json({"$ref": _ref(Error)})}
    return {"operationId": name, "summary": summary, "responses": responses}


def _body(kind: type, *, required: bool) -> Json:
    return {"required": required, "content": _json({"$ref": _ref(kind)})}


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _ref(kind: type) -> str:
    return f"#/components/schemas/{kind.__name__}"


def _query(name: str, schema: Json, *, required: bool = False) -> Json:
    return {"name": name, "in": "query", "required": required, "schema": schema}


def _number(limits: Limits) -> Json:
    return {"type": "integer", "minimum": 1, "maximum": limits.max_key_per_request}


def _size(limits: Limits) -> Json:
    low, high = limits.min_key_size_bits, limits.max_key_size_bits
    return {"type": "integer", "minimum": low, "maximum": high, "multipleOf": 8}


def _key_id() -> Json:
    return {"type": "string", "pattern": _UUID_PATTERN}


def _schemas(limits: Limits) -> Json:
    """Return the schemas of the code's types, with what the code checks beyond their types."""
    kinds = [Status, KeyRequest, KeyContainer, KeyIDs, Error]
    _, schemas = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    request = schemas["KeyRequest"]["properties"]
    _narrow(request["number"], _number(limits))
    _narrow(request["size"], _size(limits))
    _narrow(request["additional_slave_SAE_IDs"], {"maxItems": limits.max_sae_id_count, "uniqueItems": True})
    # No mandatory extension is supported: an entry may name none.
    _narrow(request["extension_mandatory"], {"items": {"type": "object", "maxProperties": 0}})
    request["extension_optional"] = {"description": "Ignored, whatever it is."}
    schemas["KeyId"]["properties"]["key_ID"] |= _key_id()
    schemas["KeyIDs"]["properties"]["key_IDs"] |= {"minItems": 1, "uniqueItems": True}
    return schemas


def _narrow(optional: Json, further: Json) -> None:
    (given,) = (kind for kind in optional["anyOf"] if kind != {"type": "null"})
    given.update(further)
