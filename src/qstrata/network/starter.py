"""The file that `init` writes: three sites in a row, every table explained, ready to come up."""

SCHEMA_FILE = "qstrata.schema.json"
"""The name of the schema file that stands beside a network file."""

_STARTER = """\
# yaml-language-server: $schema=@schema@
#
# A network of three sites in a row. No fibre joins north and south: their keys are relayed by mid.
#
#   qstrata validate FILE                      everything that is wrong with this file
#   qstrata up FILE                            bring the network up, and print where keys are fetched
#   qstrata run FILE --virtual --for 10m       run it in virtual time, with the `demands` below
#
# Units are part of a key's name: length-km, loss-db, block-s.

# By this name commands call the network.
name: @name@

# All sites are run by one organisation. The names of its SAEs begin with urn:qkd:<domain>:
domain: @name@

# Sites, with longitude and latitude for maps. Each has a KME, whose port is that of its ETSI GS QKD 014
# interface; port 0 takes any free one.
nodes:
  - {name: north, site: [-3.70, 40.55], kme: {port: 10241}}
  - {name: mid, site: [-3.70, 40.43], kme: {port: 10242}, kind: hub}
  - {name: south, site: [-3.71, 40.31], kme: {port: 10243}}

# Quantum links, each written once: the first end has the transmitter. What a link does not say comes from
# its kind, then from `defaults: link`.
links:
  - {ends: [north, mid], length-km: 14.5, loss-db: 4.1, kind: metro}
  - {ends: [mid, south], length-km: 16.0, loss-db: 4.5, kind: metro}

kinds:
  links:
    # Classical channels as long as the fibre, and bits placed at the start, so that keys are there at once.
    metro: {channels: default, initial-key-bits: 200000}
  nodes:
    # Much goes through a hub: it may store more keys than others.
    hub: {limits: {max-stored-keys: 200000}}

# Figures that hold where nothing else is said.
defaults:
  link: {profile: gys-100mhz, block-s: 60}
  session: {key-size-bits: 256, depth-keys: 64, rate-keys-per-s: 10, ttl-s: 86400}

# SAEs: the applications that fetch keys, each from the KME of its site.
saes:
  - {name: "urn:qkd:@name@:north:app", node: north}
  - {name: "urn:qkd:@name@:mid:app", node: mid}
  - {name: "urn:qkd:@name@:south:app", node: south}

# Who may share keys: `all`, or a list of pairs.
policy: {pairs: all}

# Sessions that are open from the start; every other pair that the policy allows opens at its first request.
sessions:
  - between: ["urn:qkd:@name@:north:app", "urn:qkd:@name@:south:app"]

# What applications ask for in virtual runs.
demands:
  - {between: ["urn:qkd:@name@:north:app", "urn:qkd:@name@:south:app"], keys-per-s: 0.5, number: 2}

# Uncomment to draw everything from a seed. Runs can then be repeated, and keys are not secret.
# seed: 1
"""


def starter_text(name: str) -> str:
    """Return a commented network file of three sites; `name` is a network's name, and that of its domain."""
    return _STARTER.replace("@schema@", SCHEMA_FILE).replace("@name@", name)
