"""The published schema: whole, valid, and of one mind with the loader about everything it can say."""

from pathlib import Path

import jsonschema_rs
import pytest

from qstrata.network.document import DescriptionError
from qstrata.network.entries import NetworkFile
from qstrata.network.loader import load_text
from qstrata.network.parsing import parse
from qstrata.network.schema import json_schema
from qstrata.network.shipped import shipped_names, shipped_text
from tests.unit.network.documents import Documents, as_text, core_data, shape_problems

SCHEMA = json_schema()
VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA)
GOLDEN = sorted((Path(__file__).parents[2] / "golden" / "network").glob("*.yaml"))


def test_the_schema_is_one():
    jsonschema_rs.meta.validate(SCHEMA)
    assert SCHEMA["$schema"].endswith("2020-12/schema")


def test_every_key_says_what_it_means():
    for table in SCHEMA["$defs"].values():
        for node in (table, *table["properties"].values()):
            assert node["description"]


def test_every_figure_has_its_range_and_a_name_with_a_unit_tells_it():
    units = ("km", "db", "us", "ms", "s", "bits", "hz", "keys")
    for table in SCHEMA["$defs"].values():
        for key, node in table["properties"].items():
            if node.get("type") in ("integer", "number"):
                assert "maximum" in node
                assert "minimum" in node or "exclusiveMinimum" in node
                if key.rpartition("-")[2] in units:
                    assert node["x-unit"]


@pytest.mark.parametrize("name", shipped_names())
def test_the_schema_accepts_the_shipped_networks(name: str):
    tree, _ = parse(shipped_text(name))
    VALIDATOR.validate(core_data(tree))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_schema_refuses_the_wrong_files_whose_shape_is_wrong(path: Path):
    text = path.read_text(encoding="utf-8")
    tree, _ = parse(text)
    if tree is None:
        pytest.skip("not YAML of plain data: only the loader sees that")
    is_doubled = path.stem == "key-given-twice"
    assert VALIDATOR.is_valid(core_data(tree)) is (is_doubled or not shape_problems(text))


def is_loaded(text: str) -> bool:
    try:
        load_text(text, "net.yaml")
    except DescriptionError:
        return False
    return True


def judge(count: int, seed: int) -> tuple[int, int]:
    """Hold generated documents against schema and loader; return how many were accepted, how many refused."""
    documents = Documents(seed)
    accepted = refused = 0
    for index in range(count):
        document, changes = documents.draw()
        text = as_text(document, as_json=index % 2 == 0)
        is_valid = VALIDATOR.is_valid(document)
        problems = shape_problems(text)
        assert is_valid is not bool(problems), f"seed {seed}, document {index}: {changes}\n{problems}\n{text}"
        accepted += is_valid
        refused += not is_valid
        loaded = is_loaded(text)
        assert is_valid or not loaded
        assert loaded or changes, f"seed {seed}, document {index}\n{text}"
    return accepted, refused


def test_schema_and_loader_agree_on_500_documents():
    accepted, refused = judge(500, 1)
    assert min(accepted, refused) > 100


@pytest.mark.campaign
def test_schema_and_loader_agree_on_10000_documents():
    accepted, refused = judge(10_000, 2)
    assert min(accepted, refused) > 2_000


def test_generated_documents_use_every_key_of_a_file():
    documents = Documents(3)
    used: set[tuple[str, str]] = set()
    for _ in range(200):
        used |= documents.keys_of(documents.right())
    known = {(name, key) for name, table in SCHEMA["$defs"].items() for key in table["properties"]}
    assert used == known
    assert NetworkFile.__name__ in SCHEMA["$defs"]
