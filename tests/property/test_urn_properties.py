"""Properties of URNs: what is built from the grammar parses to its parts; look-up equals brute force."""

from collections import Counter

from hypothesis import assume, given
from hypothesis import strategies as st

from qstrata.core.errors import InputError
from qstrata.core.urn import Urn, longest_prefix

ALNUM = "abcxyzABCXYZ019"
PCHAR = st.one_of(
    st.sampled_from(ALNUM + "-._~!$&'()*+,;=:@"),
    st.builds("%{}{}".format, st.sampled_from("0123456789abcdefABCDEF"), st.sampled_from("09afAF")),
)


def joined(characters, **bounds):
    return st.lists(characters, **bounds).map("".join)


NID = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(ALNUM), joined(st.sampled_from(ALNUM + "-"), max_size=30), st.sampled_from(ALNUM)
    ),
)
NSS = st.builds("{}{}".format, PCHAR, joined(PCHAR | st.just("/"), max_size=12))
R_OR_Q = st.builds("{}{}".format, PCHAR, joined(PCHAR | st.sampled_from("/?"), max_size=12))
F = joined(PCHAR | st.sampled_from("/?"), max_size=6)
SCHEME = st.sampled_from(["urn", "URN", "Urn"])


@st.composite
def urns(draw):
    """Draw a URN's text with the parts it was built from (RFC 8141, section 2)."""
    nid, nss = draw(NID), draw(NSS)
    r, q, f = draw(st.none() | R_OR_Q), draw(st.none() | R_OR_Q), draw(st.none() | F)
    # An r-component ends at the first "?=", whoever wrote it.
    assume(r is None or "?=" not in r)
    text = f"{draw(SCHEME)}:{nid}:{nss}"
    text += ("" if r is None else f"?+{r}") + ("" if q is None else f"?={q}") + ("" if f is None else f"#{f}")
    return text, (nid, nss, r, q, f)


@given(urns())
def test_what_the_grammar_builds_parses_to_its_parts_and_prints_the_same(built):
    text, parts = built
    urn = Urn.parse(text)
    assert (urn.nid, urn.nss, urn.r, urn.q, urn.f) == parts
    assert str(urn) == text


@given(urns())
def test_the_canonical_name_is_an_equivalent_fixed_point(built):
    urn = Urn.parse(built[0])
    assert Urn.parse(urn.name).name == urn.name
    assert Urn.parse(urn.name).equivalent(urn)
    assert urn.name == f"urn:{urn.nid.lower()}:{':'.join(urn.segments)}"


@given(urns())
def test_parameters_written_back_restore_the_text(built):
    urn = Urn.parse(built[0])
    assert urn.with_q(urn.q_pairs) == urn


RAW = st.text(alphabet="ab12&=#/?%é ", max_size=4)


@given(urns(), st.lists(st.tuples(RAW, st.none() | RAW), max_size=3))
def test_parameters_are_either_refused_or_read_back_as_given(built, pairs):
    urn = Urn.parse(built[0])
    try:
        made = urn.with_q(pairs)
    except InputError:
        return
    assert made.q_pairs == tuple(pairs)
    assert (made.nid, made.nss, made.r, made.f) == (urn.nid, urn.nss, urn.r, urn.f)


@given(
    st.text(alphabet=st.sampled_from("urn:URNab-%2z?+=#/ é\n"), max_size=20).map("urn:ab:".__add__)
    | st.text()
)
def test_any_text_is_read_unchanged_or_refused_as_input_error(text):
    try:
        urn = Urn.parse(text)
    except InputError:
        return
    assert str(urn) == text


SEGMENTS = st.lists(st.sampled_from(["a", "b", "ab", "a/b", "A"]), min_size=1, max_size=5)
NAMES = SEGMENTS.map(lambda segments: "urn:qkd:" + ":".join(segments))
PREFIXES = NAMES | st.sampled_from(["urn:qkd", "urn:etsi", "urn:etsi:a"])


def brute_force(table, name):
    """Compare with every entry of the table, whole segment by whole segment."""
    parts = name.split(":")
    best = None
    for key in table:
        prefix = key.split(":")
        if parts[: len(prefix)] == prefix and (best is None or len(prefix) > best.count(":") + 1):
            best = key
    return None if best is None else table[best]


@given(st.dictionaries(PREFIXES, st.integers(0, 3), max_size=20), NAMES)
def test_longest_prefix_equals_brute_force(table, name):
    assert longest_prefix(table, Urn.parse(name)) == brute_force(table, name)


@given(NAMES, NAMES)
def test_starts_with_agrees_with_the_segments(name, prefix):
    above = Urn.parse(prefix).segments
    assert Urn.parse(name).starts_with(Urn.parse(prefix)) == (Urn.parse(name).segments[: len(above)] == above)


def aggregate(flat):
    """Put one entry in the place of many: each prefix, root first, takes the commonest hop below it."""
    hops_below = {}
    for name, hop in flat.items():
        parts = name.split(":")
        for length in range(2, len(parts) + 1):
            hops_below.setdefault(":".join(parts[:length]), Counter())[hop] += 1
    table = {}
    for prefix in sorted(hops_below, key=lambda text: text.count(":")):
        hop = flat.get(prefix, hops_below[prefix].most_common(1)[0][0])
        if brute_force(table, prefix) != hop:
            table[prefix] = hop
    return table


@given(st.dictionaries(NAMES, st.sampled_from(["north", "south", "east"]), max_size=30))
def test_aggregated_and_flat_tables_give_the_same_next_hop(flat):
    aggregated = aggregate(flat)
    for name, hop in flat.items():
        assert longest_prefix(flat, Urn.parse(name)) == hop
        assert longest_prefix(aggregated, Urn.parse(name)) == hop


def test_aggregation_makes_the_table_of_a_domain_one_entry():
    flat = {f"urn:qkd:madqci:site{site}:app{app}": "madrid" for site in range(10) for app in range(10)}
    assert aggregate(flat) == {"urn:qkd": "madrid"}
