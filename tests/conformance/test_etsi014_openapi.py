"""The OpenAPI description: what is served is what is published, and what is answered is what is described."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from qstrata.interfaces.etsi014.openapi import openapi_bytes, openapi_text
from qstrata.interfaces.etsi014.types import OPENAPI_PATH, Limits
from tests.conformance.kmes import Kmes, asked
from tests.conformance.test_etsi014_rows import ALICE, BOB, DEC, ENC, FILE, STATUS, STRANGER

PUBLISHED = Path(__file__).resolve().parents[2] / "docs" / "reference" / "openapi.json"


@pytest.fixture(scope="module")
def kmes() -> Kmes:
    return Kmes(FILE)


@pytest.fixture(scope="module")
def served(kmes: Kmes) -> Any:
    return json.loads(kmes.call(ALICE, "GET", OPENAPI_PATH).body)


def test_published_description_is_that_of_the_code() -> None:
    assert PUBLISHED.read_text() == openapi_text(Limits()), "write it anew from openapi_text(Limits())"


def test_description_is_served_to_any_sae_with_the_limits_of_the_kme(kmes: Kmes, served: Any) -> None:
    figures = served["components"]["schemas"]["KeyRequest"]["properties"]
    assert {"type": "integer", "minimum": 1, "maximum": 20} in figures["number"]["anyOf"]
    limits = Limits(max_key_per_request=20, min_key_size_bits=128, max_key_size_bits=512, max_sae_id_count=3)
    assert served == json.loads(openapi_bytes(limits))
    assert kmes.call(STRANGER, "GET", OPENAPI_PATH).status == 200
    assert kmes.call(ALICE, "POST", OPENAPI_PATH).status == 405


def test_schemas_are_json_schemas(served: Any) -> None:
    for schema in served["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


def test_every_operation_is_described_once_with_every_status_it_may_have(served: Any) -> None:
    operations = [item[verb] for item in served["paths"].values() for verb in ("get", "post") if verb in item]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names)) == 6
    for operation in operations:
        assert set(operation["responses"]) >= {"200", "400", "401", "404", "405", "413", "415", "503"}


@pytest.mark.parametrize(
    ("sae", "method", "target", "body", "status"),
    [
        (ALICE, "GET", STATUS, None, 200),
        (ALICE, "GET", ENC, None, 200),
        (ALICE, "POST", ENC, {"number": 2, "size": 128}, 200),
        (ALICE, "POST", ENC, {"size": 7}, 400),
        (ALICE, "POST", ENC, {"extension_mandatory": [{"a_b": 1}]}, 400),
        (STRANGER, "GET", STATUS, None, 401),
        (BOB, "POST", DEC, asked(["00000000-0000-4000-8000-000000000000"]), 400),
    ],
)
def test_answers_are_as_described(
    kmes: Kmes, served: Any, sae: str, method: str, target: str, body: object, status: int
) -> None:
    kmes.ids()
    answer = kmes.call(sae, method, target, body)
    assert answer.status == status
    item = next(served["paths"][path] for path in served["paths"] if path.endswith(target.rpartition("/")[2]))
    content = item[method.lower()]["responses"][str(status)]["content"]["application/json"]
    schema = {**content["schema"], "components": served["components"]}
    jsonschema_rs.validator_for(schema).validate(json.loads(answer.body))
