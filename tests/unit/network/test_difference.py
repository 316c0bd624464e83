"""The difference of two descriptions: every step, what it says of itself, and what is refused."""

import msgspec
import pytest

from qstrata.core.errors import InputError
from qstrata.network.description import Description, Link, Node, Sae
from qstrata.network.difference import difference
from qstrata.network.in_force import file_text
from qstrata.network.loader import load, load_text
from qstrata.network.shipped import shipped_names
from qstrata.network.steps import Plan, Step

FILE = """
name: lab
domain: lab
nodes:
  - {name: a, site: [0, 0]}
  - {name: b, site: [1, 0]}
  - {name: c, site: [2, 0]}
links:
  - {ends: [a, b], length-km: 10, loss-db: 2, channels: default}
  - {ends: [b, c], length-km: 10, loss-db: 2, channels: default}
saes:
  - {name: "urn:qkd:lab:a:sae", node: a}
  - {name: "urn:qkd:lab:b:sae", node: b}
  - {name: "urn:qkd:lab:c:sae", node: c}
sessions:
  - {between: ["urn:qkd:lab:b:sae", "urn:qkd:lab:a:sae"], depth-keys: 8}
"""
A, B, C = (f"urn:qkd:lab:{node}:sae" for node in "abc")


def edited(*replacements: tuple[str, str]) -> Description:
    """Return the network with texts of its file replaced."""
    text = FILE
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new, 1)
    return load_text(text, "lab.yaml")


def steps(*replacements: tuple[str, str]) -> tuple[Step, ...]:
    """Return the plan from the network to an edited one."""
    return difference(edited(), edited(*replacements)).steps


def short(found: tuple[Step, ...]) -> list[tuple[str, str, str]]:
    """Return what is done to what."""
    return [(step.action, step.kind, step.object) for step in found]


def test_equal_descriptions_differ_in_nothing() -> None:
    assert difference(edited(), edited()) == Plan(())


def test_the_order_of_a_table_and_of_a_pair_means_nothing() -> None:
    before = edited()
    turned = msgspec.structs.replace(before, nodes=before.nodes[::-1], saes=before.saes[::-1])
    assert difference(before, turned) == Plan(())
    assert steps((f'"{B}", "{A}"', f'"{A}", "{B}"')) == ()


def test_a_node_goes_with_its_links_and_saes() -> None:
    found = steps(
        ("  - {name: c, site: [2, 0]}\n", ""),
        ("  - {ends: [b, c], length-km: 10, loss-db: 2, channels: default}\n", ""),
        (f'  - {{name: "{C}", node: c}}\n', ""),
    )
    assert short(found) == [("remove", "node", "c"), ("remove", "link", "b-c"), ("remove", "sae", C)]
    assert all("destroyed" in step.disturbs for step in found)


def test_a_changed_length_says_both_lengths_and_that_the_link_starts_anew() -> None:
    (step,) = steps(("length-km: 10, loss-db: 2", "length-km: 12.5, loss-db: 3"))
    assert (step.action, step.kind, step.object) == ("change", "link", "a-b")
    assert [msgspec.structs.astuple(change) for change in step.changes] == [
        ("length-km", "10", "12.5"),
        ("loss-db", "2", "3"),
    ]
    assert "starts anew" in step.disturbs
    assert "key in its pools stays" in step.disturbs


def test_a_link_turned_round_is_another_link() -> None:
    found = steps(("ends: [a, b]", "ends: [b, a]"))
    assert short(found) == [("remove", "link", "a-b"), ("add", "link", "b-a")]


def test_a_link_without_a_channel_ends_and_one_that_gets_it_begins() -> None:
    bare = ("loss-db: 2, channels: default}", "loss-db: 2, channels: {relay: {}}}")
    (step,) = steps(bare)
    assert "the link ends" in step.disturbs
    (back,) = difference(edited(bare), edited()).steps
    assert back.disturbs == "sessions may move to it"


def test_another_delay_of_a_channel_disturbs_nothing() -> None:
    (step,) = steps(
        ("loss-db: 2, channels: default}", "loss-db: 2, channels: {relay: {}, distillation: {}}}")
    )
    assert step.disturbs == "nothing"


def test_an_sae_that_moves_says_where() -> None:
    (step,) = steps((f'"{C}", node: c', f'"{C}", node: b'))
    assert step.changes[0].key == "node"
    assert "open anew at the other KME" in step.disturbs


@pytest.mark.parametrize(
    ("figure", "disturbs"),
    [("depth-keys: 16", "nothing"), ("depth-keys: 8, rate-keys-per-s: 3", "nothing")],
)
def test_depth_and_rate_of_a_session_change_in_place(figure: str, disturbs: str) -> None:
    (step,) = steps(("depth-keys: 8", figure))
    assert (step.kind, step.object, step.disturbs) == ("session", f"{A} - {B}", disturbs)


def test_another_key_size_opens_a_session_anew() -> None:
    (step,) = steps(("depth-keys: 8", "depth-keys: 8, key-size-bits: 128"))
    assert "opens anew" in step.disturbs


def test_policy_says_how_many_pairs_it_closes() -> None:
    (step,) = steps(("sessions:", f'policy: {{pairs: [["{A}", "{B}"]]}}\nsessions:'))
    assert step.kind == "policy"
    assert step.disturbs.startswith("sessions of 2 pairs close")


def test_limits_defaults_management_routes_and_demands_are_told_apart() -> None:
    found = steps(
        (
            "sessions:",
            "defaults: {limits: {max-key-per-request: 9}, session: {rate-keys-per-s: 2}}\n"
            "management: {delay-ms: 7}\n"
            f'routes: [{{prefix: "{A}", node: a}}, {{prefix: "{B}", node: b}}, {{prefix: "{C}", node: c}}]\n'
            f'demands: [{{between: ["{A}", "{C}"], keys-per-s: 1}}]\n'
            "sessions:",
        )
    )
    assert [step.kind for step in found] == ["routes", "management", "limits", "defaults", "demand"]
    assert found[2].changes[0].key == "defaults.limits.max-key-per-request"


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("name: lab", "name: other", "name"),
        ("sessions:", "seed: 5\nsessions:", "seed"),
        ("sessions:", "clock: {mode: virtual}\nsessions:", "clock"),
    ],
)
def test_what_no_running_network_can_change_is_refused_with_the_cure(old: str, new: str, key: str) -> None:
    with pytest.raises(InputError, match=f"the {key} of a network that runs cannot change") as refused:
        steps((old, new))
    assert "qstrata down lab" in str(refused.value)


def test_another_domain_is_refused() -> None:
    before = edited()
    with pytest.raises(InputError, match="domain"):
        difference(before, msgspec.structs.replace(before, domain="elsewhere"))


def _examples(kind: type) -> dict[str, object]:
    """Return a value for every key that is another than the one in the network above."""
    values: dict[type, object] = {bool: False, int: 77, float: 0.5, str: "x"}
    found = {}
    for field in msgspec.structs.fields(kind):
        default = field.default
        found[field.name] = not default if isinstance(default, bool) else values.get(type(default), ("x",))
    return found


@pytest.mark.parametrize(
    ("table", "kind", "name"), [("nodes", Node, "name"), ("links", Link, "ends"), ("saes", Sae, "name")]
)
def test_no_key_of_a_table_changes_unseen(table: str, kind: type, name: str) -> None:
    before = edited()
    rows = getattr(before, table)
    for key, value in _examples(kind).items():
        if key in (name, "kme"):
            continue
        row = msgspec.structs.replace(rows[0], **{key: value})
        try:
            found = difference(before, msgspec.structs.replace(before, **{table: (row, *rows[1:])}))
        except (AttributeError, TypeError):
            # A value of another type: the key was read.
            continue
        assert found.steps, f"{table}: {key} changed, and no step says so"


@pytest.mark.parametrize("name", shipped_names())
def test_the_file_that_is_kept_loads_as_the_description_in_force(name: str) -> None:
    description = load(name)
    assert load_text(file_text(description), "network.yaml") == description


def test_the_file_that_is_kept_has_limits_of_its_own_policy_and_a_scaled_clock() -> None:
    description = edited(
        (
            "{name: a, site: [0, 0]}",
            "{name: a, site: [0, 0], kme: {port: 999, limits: {max-key-per-request: 3}}}",
        ),
        ("sessions:", f'clock: {{mode: scaled, rate: 2}}\npolicy: {{pairs: [["{A}", "{B}"]]}}\nsessions:'),
    )
    assert load_text(file_text(description), "network.yaml") == description
