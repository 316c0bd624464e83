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

# Each wrong file is the good one with one text replaced; `@@` marks where the problem must be shown.
WRONG = {
    "misspelt key": ("length-km: 24.2", "@@lenght-km: 24.2", "did you mean `length-km`?"),
    "snake case key": ("    loss-db: 6", "    @@loss_db: 6", "did you mean `loss-db`?"),
    "unknown key": ("seed: 7", "@@zzz: 7", "unknown key `zzz` in the file; there is `name`"),
    "key given twice": ("seed: 7", "seed: 7\n@@seed: 8", "key `seed` is given twice"),
    "value above its range": ("24.2", "@@501", "a number above 0 and at most 500 km"),
    "value at an open bound": ("24.2", "@@0", "a number above 0 and at most 500 km"),
    "value below its range": ("loss-db: 6", "loss-db: @@-1", "a number from 0 to 200 dB"),
    "number with its unit": ("24.2", "@@24.2 km", "write the number alone: 24.2"),
    "number with a comma": ("24.2", "@@24,2", "write a point: 24.2"),
    "number in quotes": ("24.2", '@@"24.2"', "remove the quotes"),
    "not a number": ("24.2", "@@.nan", "a number above 0 and at most 500 km"),
    "fraction for a whole number": ("block-s: 30", "block-s: @@1.5", "a whole number from 1 to 3600 s"),
    "bits that are no bytes": ("4096", "@@4097", "divisible by 8"),
    "nothing after a key": ("length-km: 24.2", "length-km:@@", "but nothing is given"),
    "word for another word": ("mode: scaled", "mode: @@scald", "did you mean `scaled`?"),
    "unknown protocol": ("block-s: 30", "protocol: @@bb84", "must be `decoy-bb84`"),
    "unknown medium": ("block-s: 30", "medium: @@fiber", "did you mean `fibre`?"),
    "boolean of another language": ("directions: false", "directions: @@no", "`true` or `false`"),
    "text for a table": ("{delay-ms: 2}", "@@2", "must be a table with the keys `delay-ms`"),
    "table for a number": ("seed: 7", "seed: @@{a: 7}", "but a table is given"),
    "table for a list": ("ends: [a, b]", "ends: @@a", "`ends` must be [a text, a text]"),
    "three ends": ("[a, b]", "@@[a, b, b]", "has 3 items"),
    "unknown node in a link": ("ends: [a, b]", "ends: [a, @@c]", "no node is called `c`"),
    "link to itself": ("ends: [a, b]", "ends: @@[a, a]", "to itself"),
    "link written twice": (
        "saes:",
        "  - {ends: @@[b, a], length-km: 1, loss-db: 1, channels: default}\nsaes:",
        "already linked in line 9",
    ),
    "no channels said": (
        "    channels: {distillation: {delay-us: 120}, relay: {length-km: 30}}\n",
        "",
        "lacks `channels`: add `default` or a table with `distillation`, `relay`",
    ),
    "channel with two delays": ("{delay-us: 120}", "@@{delay-us: 120, length-km: 3}", "keep one of them"),
    "unknown channel": ("distillation: {", "@@destillation: {", "did you mean `distillation`?"),
    "unknown profile": ("block-s: 30", "profile: @@gys-10mhz", "did you mean `gys-100mhz`?"),
    "figures that contradict": ("{y0: 1e-6}", "@@{signal-probability: 0.9}", "add up to 1"),
    "figure out of its range": ("1e-6", "@@0.5", "from 0 to 0.01 1/pulse"),
    "node named twice": ("{name: b, site", "{name: @@a, site", "a node called `a` is already in line 6"),
    "node named like the controllers": ("{name: b, site", "{name: @@control, site", "controllers"),
    "node name in capitals": ("{name: b, site", "{name: @@B, site", "lower-case letters, digits"),
    "port taken twice": ("9002", "@@9001", "port 9001 is already that of `a`"),
    "port out of range": ("9002", "@@90020", "a TCP port"),
    "latitude out of range": ("[1.6, 41]", "[1.6, @@141]", "from -90 to 90 degrees of latitude"),
    "SAE at an unknown node": (
        'a:x", node: a',
        'a:x", node: @@aa',
        "no node is called `aa`; did you mean `a`?",
    ),
    "SAE named twice": (
        'name: "urn:qkd:lab:b:y"',
        f'name: @@"{X}"',
        "an SAE called `urn:qkd:lab:a:x` is already",
    ),
    "SAE name that is no URN": (f'name: "{X}"', 'name: @@"x"', "a URN begins with 'urn:'"),
    "SAE of another domain": (f'name: "{X}"', 'name: @@"urn:qkd:bal:a:x"', "begins with `urn:qkd:lab:`"),
    "SAE of another namespace": (f'name: "{X}"', 'name: @@"urn:qkx:lab:a:x"', "in namespace `qkd`"),
    "SAE named like a KME": (
        f'name: "{X}"',
        'name: @@"urn:qkd:lab:kme:a"',
        "kept for the domain and its KMEs",
    ),
    "SAE with a q-part": (f'name: "{X}"', f'name: @@"{X}?=nonce=1"', f"write `{X}`"),
    "SAE name in capitals": (f'name: "{X}"', 'name: @@"URN:qkd:lab:a:x"', f"write `{X}`"),
    "SAE name too long": (f'name: "{X}"', f'name: @@"{X}{"x" * 50}"', "an SAE id at most 64"),
    "policy with an unknown SAE": ('[["urn:qkd:lab:a:x"', '[[@@"urn:qkd:lab:a:z"', f"did you mean `{X}`?"),
    "policy with one SAE": (f'pairs: [["{X}", "{Y}"]]', f'pairs: [@@["{X}", "{X}"]]', "with itself"),
    "policy word": (f'pairs: [["{X}", "{Y}"]]', "pairs: @@al", "did you mean `all`?"),
    "route to an unknown node": ('lab:b", node: b', 'lab:b", node: @@bb', "no node is called `bb`"),
    "session that policy forbids": (
        f'policy: {{pairs: [["{X}", "{Y}"]]}}\n',
        "policy: {pairs: []}\n",
        "the policy does not allow this pair",
    ),
    "session declared twice": (
        "demands:",
        f'  - between: @@["{Y}", "{X}"]\ndemands:',
        "have a session already, in line 24",
    ),
    "session of an unknown SAE": (f'between: ["{X}"', 'between: [@@"urn:qkd:lab:c:x"', "no SAE is called"),
    "keys larger than a KME allows": ("key-size-bits: 128", "key-size-bits: @@520", "64 to 512 bits"),
    "more keys than a KME stores": ("ttl-s: 60", "depth-keys: @@91", "more than the KME stores, 90"),
    "request larger than a KME allows": ("number: 4", "number: @@200", "at most 128 keys"),
    "rate without a scaled clock": ("mode: scaled, rate: 10", "mode: real, rate: @@10", "`mode: scaled`"),
    "scaled clock without a rate": ("{mode: scaled, rate: 10}", "@@{mode: scaled}", "needs its `rate`"),
    "limits that leave no size": (
        "{max-key-size-bits: 512, max-stored-keys: 90}",
        "@@{max-key-size-bits: 128, min-key-size-bits: 256}",
        "no size is left",
    ),
    "reserved domain": ("domain: lab", "domain: @@lifecycle", "reserved"),
    "domain missing": ("domain: lab\n", "", "lacks `domain`: add 1 to 32 lower-case letters"),
    "tab for indentation": ("    block-s: 30", "@@\tblock-s: 30", "indent with spaces"),
    "open bracket": ("ends: [a, b]", "ends: [a, b\n    length@@: 3", "this is not YAML"),
    "anchor": ("[a, b]", "@@&e [a, b]", "anchors and aliases are not used"),
    "alias": ("[a, b]", "@@*e", "anchors and aliases are not used"),
    "tag": ("seed: 7", "seed: @@!!python/name:os.system", "is not used"),
    "list as a key": ("seed: 7", "? @@[a]\n: 7", "a key must be a word"),
    "second document": ("defaults: {session", "@@---\ndefaults: {session", "one network per file"),
    "control character": ("seed: 7", "seed: @@\x07", "is not allowed here"),
    "deep nesting": ("seed: 7", f"seed: {'[' * 12}@@[]{']' * 12}", "nested deeper"),
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


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_refused_at_its_place_with_the_cure(case):
    old, new, words = WRONG[case]
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
