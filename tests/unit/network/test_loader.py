import msgspec
import pytest

from qstrata.core.errors import EnvironmentFaultError, InputError
from qstrata.network.document import MAX_FILE_BYTES, MAX_PROBLEMS, DescriptionError
from qstrata.network.loader import load, load_text

GOOD = """\
name: pair
domain: lab
seed: 7
clock: {mode: scaled, rate: 10}
nodes:
  - {name: a, site: [1.5, 40], kme: {port: 9001}}
  - {name: b, site: [1.6, 41], kme: {port: 9002, limits: {max-key-size-bits: 512, max-stored-keys: 90}}}
links:
  - ends: [a, b]
    length-km: 24.2
    loss-db: 6
    channels: {distillation: {delay-us: 120}, relay: {length-km: 30}}
    parameters: {y0: 1e-6}
    block-s: 30
    initial-key-bits: 4096
saes:
  - {name: "urn:qkd:lab:a:x", node: a}
  - {name: "urn:qkd:lab:b:y", node: b}
policy: {pairs: [["urn:qkd:lab:a:x", "urn:qkd:lab:b:y"]]}
routes:
  - {prefix: "urn:qkd:lab:a", node: a}
  - {prefix: "urn:qkd:lab:b", node: b}
sessions:
  - {between: ["urn:qkd:lab:a:x", "urn:qkd:lab:b:y"], key-size-bits: 128, ttl-s: 60}
demands:
  - {between: ["urn:qkd:lab:b:y", "urn:qkd:lab:a:x"], keys-per-s: 2.5, number: 4, both-directions: false}
management: {delay-ms: 2}
defaults: {session: {depth-keys: 10}}
"""

X, Y = "urn:qkd:lab:a:x", "urn:qkd:lab:b:y"

# What no network file may contain: the good one with one text replaced; `@@` marks where it must be shown.
# All other kinds of wrong files are in tests/golden/network.
UNPLAIN = {
    "alias": ("[a, b]", "@@*e", "anchors and aliases are not used"),
    "tag": ("seed: 7", "seed: @@!!python/name:os.system", "is not used"),
    "list as a key": ("seed: 7", "? @@[a]\n: 7", "a key must be a word"),
    "second document": ("defaults: {session", "@@---\ndefaults: {session", "keep one in each file"),
    "control character": ("seed: 7", "seed: @@\x07", "is not allowed here"),
    "deep nesting": ("seed: 7", f"seed: {'[' * 12}@@[]{']' * 12}", "nested deeper"),
    "table for a number": ("seed: 7", "seed: @@{a: 7}", "but a table is given"),
    "value at an open bound": ("24.2", "@@0", "a number above 0 and at most 500 km"),
}


def spoilt(old: str, new: str) -> tuple[str, str]:
    """Return the wrong text, and `line:column` of its mark (empty without one)."""
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    at = text.find("@@")
    if at < 0:
        return text, ""
    before = text[:at]
    return text.replace("@@", ""), f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def refusal(text: str) -> DescriptionError:
    with pytest.raises(DescriptionError) as refused:
        load_text(text, "net.yaml")
    return refused.value


@pytest.mark.parametrize("case", UNPLAIN)
def test_what_is_not_plain_data_is_refused_at_its_place(case):
    old, new, words = UNPLAIN[case]
    text, place = spoilt(old, new)
    refused = refusal(text)
    assert words in str(refused)
    found = [
        f"{problem.place.line}:{problem.place.column}"
        for problem in refused.problems
        if words in problem.message
    ]
    assert found
    if place:
        assert found == [place]


def test_every_field_of_a_good_file_is_read():
    network = load_text(GOOD, "net.yaml")
    assert (network.name, network.domain, network.seed) == ("pair", "lab", 7)
    assert (network.clock.mode, network.clock.rate) == ("scaled", 10.0)
    assert [(node.name, node.site, node.kme.port) for node in network.nodes] == [
        ("a", (1.5, 40.0), 9001),
        ("b", (1.6, 41.0), 9002),
    ]
    link = network.links[0]
    assert (link.ends, link.length_km, link.loss_db, link.block_s) == (("a", "b"), 24.2, 6.0, 30)
    assert (link.initial_key_bits, link.parameters.y0) == (4096, 1e-6)
    assert [(sae.name, sae.node) for sae in network.saes] == [(X, "a"), (Y, "b")]
    assert network.sessions[0].between == (X, Y)
    assert (network.demands[0].keys_per_s, network.demands[0].both_directions) == (2.5, False)
    assert network.management.delay_ms == 2.0


def test_a_problem_shows_its_line_and_a_mark_under_the_column():
    text, _ = spoilt("loss-db: 6", "loss-db: x")
    assert str(refusal(text)).splitlines() == [
        "net.yaml:11:14: `loss-db` is `x`, but must be a number from 0 to 200 dB",
        "    11 |     loss-db: x",
        "       |              ^",
    ]


def test_all_independent_problems_come_in_one_run_in_the_order_of_the_file():
    text = GOOD.replace("24.2", "9999").replace("rate: 10", "rte: 10").replace("ends: [a, b]", "ends: [a, q]")
    text = text.replace("node: b}\npolicy", "node: bb}\npolicy").replace("ttl-s: 60", "ttl-s: 0")
    lines = [problem.place.line for problem in refusal(text).problems]
    assert lines == [4, 9, 10, 18, 24]


def test_a_misspelt_key_is_not_reported_missing_as_well():
    text, _ = spoilt("length-km: 24.2", "lenght-km: 24.2")
    assert len(refusal(text).problems) == 1


def test_a_faulty_node_does_not_make_its_name_unknown():
    text, _ = spoilt("9002", "a-port")
    assert len(refusal(text).problems) == 1


def test_a_file_full_of_faults_is_refused_with_a_bounded_report():
    text = GOOD + "".join(f"bad{number}: 1\n" for number in range(100_000))
    refused = refusal(text)
    assert len(refused.problems) <= 3 * MAX_PROBLEMS
    assert "there may be more problems" in str(refused)


@pytest.mark.parametrize("text", ["", "# nothing\n", "name", "- 1", "[]", "{}", "---\n"])
def test_a_file_that_is_no_network_is_refused(text):
    assert refusal(text).problems


def test_words_of_yaml_stay_words_where_a_text_is_wanted():
    text = GOOD.replace("name: a,", "name: no,").replace("[a, b]", "[no, b]").replace("node: a}", "node: no}")
    assert load_text(text, "net.yaml").nodes[0].name == "no"


def test_what_a_terminal_would_obey_is_not_shown():
    text, _ = spoilt("seed: 7", 'seed: "\\e[2J"')
    assert "\x1b" not in str(refusal(text))


def test_a_route_that_leads_elsewhere_is_told_with_the_SAE():
    text = GOOD.replace('{prefix: "urn:qkd:lab:b", node: b}', '{prefix: "urn:qkd:lab:b", node: a}')
    assert "the route of this SAE leads to `a`, but its node is `b`" in str(refusal(text))
    text = GOOD.replace('  - {prefix: "urn:qkd:lab:b", node: b}\n', "")
    assert "the route of this SAE is missing" in str(refusal(text))


def test_links_whose_names_would_collide_are_refused():
    nodes = "".join(f"  - {{name: {name}, site: [0, 0]}}\n" for name in ("b-c", "a-b", "c"))
    more = "".join(
        f"  - {{ends: [{ends}], length-km: 1, loss-db: 1, channels: default}}\n"
        for ends in ("a, b-c", "a-b, c")
    )
    text = GOOD.replace("links:\n", nodes + "links:\n").replace("saes:\n", more + "saes:\n")
    assert "its name `a-b-c` is that of the link in line" in str(refusal(text))


def test_a_file_is_loaded_by_path(tmp_path):
    path = tmp_path / "net.yaml"
    path.write_text(GOOD, encoding="utf-8")
    assert load(path) == load(str(path)) == load_text(GOOD, "net.yaml")


def test_a_file_without_a_suffix_is_found_after_the_shipped_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").write_text(GOOD, encoding="utf-8")
    (tmp_path / "ring").write_text(GOOD, encoding="utf-8")
    assert load("mine").name == "pair"
    assert load("ring").name == "ring"
    assert load("./ring").name == "pair"


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"there is no file .*gone\.yaml"):
        load(tmp_path / "gone.yaml")


def test_a_folder_for_a_file_is_a_fault_of_the_environment(tmp_path):
    with pytest.raises(EnvironmentFaultError, match="cannot be read"):
        load(tmp_path)


def test_a_file_beyond_the_bound_is_refused_unread(tmp_path):
    path = tmp_path / "huge.yaml"
    path.write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    with pytest.raises(InputError, match=str(MAX_FILE_BYTES)):
        load(path)


def test_bytes_that_are_no_text_are_refused_at_their_place(tmp_path):
    path = tmp_path / "net.yaml"
    path.write_bytes(b"name: pair\ndomain: \xff\n")
    with pytest.raises(DescriptionError, match=r"net\.yaml:2:9: this is not UTF-8"):
        load(path)


def test_what_the_loader_accepts_the_types_accept():
    network = load_text(GOOD, "net.yaml")
    assert msgspec.convert(msgspec.to_builtins(network), type(network)) == network
