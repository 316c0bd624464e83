import json
import math

import msgspec
import pytest

from qstrata.core.errors import InputError
from qstrata.network.description import Clock, Description, DeviceFigures, Link, checked
from qstrata.network.loader import load
from qstrata.network.shipped import shipped_names
from qstrata.physics.parameters import PARAMETERS
from qstrata.physics.protocols import bbm92, cv

SPEED_OF_LIGHT_KM_PER_S = 299_792.458


def small(**changes) -> Description:
    plain = {
        "name": "pair",
        "domain": "lab",
        "nodes": [{"name": name, "site": [0, 0]} for name in ("a", "b", "c")],
        "links": [{"ends": ["a", "b"], "length-km": 10, "loss-db": 2, "channels": "default"}],
        "saes": [{"name": f"urn:qkd:lab:{name}:sae", "node": name} for name in ("c", "a", "b")],
    }
    return checked({**plain, **changes})


def with_channels(channels) -> Description:
    return small(links=[{"ends": ["a", "b"], "length-km": 10, "loss-db": 2, "channels": channels}])


def test_a_link_is_named_by_its_ends_transmitter_first():
    link = small().links[0]
    assert (link.name, link.fibre) == ("a-b", "fibre/a-b")


def test_default_channels_are_as_long_as_the_fibre():
    link = small().links[0]
    light_ps = 10 / (SPEED_OF_LIGHT_KM_PER_S / 1.4682) * 1e12
    assert link.distillation_delay_ps == link.relay_delay_ps == link.fibre_delay_ps == math.ceil(light_ps)


def test_a_channel_has_its_own_delay_or_length():
    link = with_channels({"distillation": {"delay-us": 120.5}, "relay": {"length-km": 20}}).links[0]
    assert link.distillation_delay_ps == 120_500_000
    assert link.relay_delay_ps == math.ceil(20 / (SPEED_OF_LIGHT_KM_PER_S / 1.4682) * 1e12)


def test_a_channel_that_is_not_declared_has_no_delay():
    link = with_channels({"relay": {}}).links[0]
    assert link.distillation_delay_ps is None
    assert link.relay_delay_ps is not None


def test_figures_of_the_file_replace_those_of_the_profile():
    links = [
        {"ends": ["a", "b"], "length-km": 1, "loss-db": 3, "channels": "default", "parameters": {"y0": 1e-5}}
    ]
    changed, default = small(links=links).links[0].link_parameters, small().links[0].link_parameters
    assert (changed.y0, changed.loss_db) == (1e-5, 3.0)
    assert msgspec.structs.replace(changed, y0=default.y0, loss_db=default.loss_db) == default


def test_every_device_figure_can_be_replaced_and_nothing_else():
    by_the_file = {"loss_db", "raman_rate_hz"}
    by_the_lab = {"trojan_photons"} | {p.name for p in PARAMETERS if p.name.endswith("_share")}
    assert {field.name for field in msgspec.structs.fields(DeviceFigures)} == {
        parameter.name for parameter in (*PARAMETERS, *bbm92.TABLE, *cv.TABLE)
    } - by_the_file - by_the_lab


def test_all_pairs_are_listed_once_and_sorted():
    a, b, c = (f"urn:qkd:lab:{name}:sae" for name in "abc")
    assert small().allowed_pairs == ((a, b), (a, c), (b, c))
    assert small(policy={"pairs": [[c, a], [b, a], [a, c]]}).allowed_pairs == ((a, b), (a, c))


def test_names_are_routed_to_the_node_of_each_SAE_unless_routes_are_declared():
    assert [(route.prefix, route.node) for route in small().name_table] == [
        ("urn:qkd:lab:c:sae", "c"),
        ("urn:qkd:lab:a:sae", "a"),
        ("urn:qkd:lab:b:sae", "b"),
    ]
    declared = small(routes=[{"prefix": "urn:qkd:lab:a", "node": "a"}])
    assert [(route.prefix, route.node) for route in declared.name_table] == [("urn:qkd:lab:a", "a")]


def test_a_session_takes_what_it_does_not_say_from_the_defaults():
    network = small(
        sessions=[{"between": ["urn:qkd:lab:a:sae", "urn:qkd:lab:b:sae"], "ttl-s": 60}],
        defaults={"session": {"depth-keys": 10, "ttl-s": 99}},
    )
    figures = network.session_figures(network.sessions[0])
    assert (figures.depth_keys, figures.ttl_s, figures.key_size_bits) == (10, 60, 256)


def test_a_node_may_have_limits_and_a_management_delay_of_its_own():
    nodes = [
        {"name": "a", "site": [0, 0]},
        {
            "name": "b",
            "site": [0, 0],
            "kme": {"limits": {"max-stored-keys": 5}},
            "management": {"delay-ms": 0.5},
        },
    ]
    network = small(nodes=nodes, management={"delay-ms": 3})
    assert [network.management_delay_ps(node) for node in network.nodes] == [3_000_000_000, 500_000_000]
    assert [network.limits_of(node).max_stored_keys for node in network.nodes] == [100_000, 5]


def test_the_limits_are_those_of_the_standards_example():
    limits = small().defaults.limits
    assert (limits.max_key_per_request, limits.max_key_size_bits, limits.min_key_size_bits) == (128, 1024, 64)
    assert limits.max_stored_keys == 100_000


def test_overrides_change_what_they_name_and_leave_the_rest():
    network = load("madrid")
    changed = network.with_overrides(
        initial_key_bits=0, seed=5, ports="ephemeral", clock=Clock(mode="virtual")
    )
    assert {link.initial_key_bits for link in changed.links} == {0}
    assert {node.kme.port for node in changed.nodes} == {0}
    assert (changed.seed, changed.clock.mode) == (5, "virtual")
    assert changed.with_overrides(seed=None).seed is None
    assert network.with_overrides() == network
    assert (changed.saes, changed.sessions, changed.policy) == (
        network.saes,
        network.sessions,
        network.policy,
    )


@pytest.mark.parametrize("changes", [{"initial_key_bits": 4}, {"initial_key_bits": -8}, {"seed": -1}])
def test_an_override_out_of_range_is_refused(changes):
    with pytest.raises(InputError, match=r"initial-key-bits|seed"):
        load("madrid").with_overrides(**changes)


def test_the_description_of_each_shipped_network_survives_json():
    for name in shipped_names():
        network = load(name)
        assert checked(json.loads(msgspec.json.encode(network))) == network


def test_classical_light_in_the_fibre_is_background_of_the_link():
    def link(*light: dict[str, object]) -> Link:
        figures = {"ends": ["a", "b"], "length-km": 25.0, "loss-db": 5.0, "channels": "default"}
        return msgspec.convert({**figures, "classical-light": light}, Link)

    dark = link().link_parameters
    against = link({"launch-power-dbm": -10.0, "direction": "against"}).link_parameters
    both = link(
        {"launch-power-dbm": -10.0, "direction": "with"}, {"launch-power-dbm": -10.0, "direction": "against"}
    ).link_parameters
    assert dark.raman_rate_hz == 0.0
    # 0.1 mW x 2e-9 /(km nm) x 0.1 nm x (1 - e^(-2 a L))/(2 a) with a = 0.2 dB/km, over h c/1550 nm, x 4.5 %.
    per_km = 0.2 * math.log(10) / 10
    power_w = 1e-4 * 2e-9 * 0.1 * (1 - math.exp(-2 * per_km * 25)) / (2 * per_km)
    expected = power_w * 1550e-9 / (6.62607015e-34 * 299_792_458) * 0.045
    assert against.raman_rate_hz == pytest.approx(expected)
    assert both.raman_rate_hz > 1.5 * against.raman_rate_hz
    assert both.background > dark.background
