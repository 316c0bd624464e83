"""The entries of the event log: integers and ids only, one JSON array a line.

The fabric, the kernel's host and the elements (by `Note`) write them; the checker reads nothing else
of a run but these and the clients' histories. Every line is `[time_ps, sequence, tag, fields...]`.
"""

from qstrata.core.effects import LogEntry


class Carried(LogEntry, frozen=True, array_like=True, gc=False, tag_field="tag", tag="msg"):
    """A message: `due_ps` is its delivery, `ids` its log fields, `outcome` what came of it.

    That is `sent`, `again` (once more, after a reconnect), `replayed` (once more, by somebody on the bearer),
    `refused` (`type` may be empty for a handle), or why it was lost: `bearer-down`, `queue-full`,
    `receiver-gone`, `swallowed` (by a test), `mischief`.
    """

    arrow: str
    sender: str
    receiver: str
    type: str
    due_ps: int
    outcome: str
    ids: tuple[int | str, ...]


class Durable(LogEntry, frozen=True, array_like=True, gc=False, tag_field="tag", tag="durable"):
    """A row became durable at a node; `op` is `put` or `drop`, `fields` the record's log fields."""

    node: str
    op: str
    kind: str
    key: str
    fields: tuple[int | str, ...]


class PadUsed(LogEntry, frozen=True, array_like=True, gc=False, tag_field="tag", tag="pad"):
    """The cipher routine used pad bits: `use` is `mask` or `unmask`; `digest` identifies the pad bits."""

    site: str
    link: str
    number: int
    offset: int
    length: int
    use: str
    transfer: str
    digest: str


class BlockHeld(LogEntry, frozen=True, array_like=True, gc=False, tag_field="tag", tag="block"):
    """A relay took a link block into its pool."""

    site: str
    link: str
    number: int
    length: int
    provisioned: int
    digest: str


class KeyHeld(LogEntry, frozen=True, array_like=True, gc=False, tag_field="tag", tag="key"):
    """A KME took a key into its store: drawn here (`own` 1) or placed by its owner."""

    site: str
    key_id: str
    session: str
    own: int
    size_bits: int
    valid_until_ps: int
    digest: str


class Answered(LogEntry, frozen=True, array_like=True, gc=False, tag_field="tag", tag="answer"):
    """A KME answered an SAE with a key: `verb` is `enc` or `dec`."""

    site: str
    sae: str
    verb: str
    key_id: str


class Injected(LogEntry, frozen=True, array_like=True, gc=False, tag_field="tag", tag="injected"):
    """The lab altered an answer to an SAE: `verb` is `status`, `enc` or `dec`, `fault` what it met.

    `key_ids` are separated by spaces: those asked for, or delivered with other bits.
    """

    site: str
    sae: str
    verb: str
    fault: str
    key_ids: str


class Settled(LogEntry, frozen=True, array_like=True, gc=False, tag_field="tag", tag="settled"):
    """Follower and owner agree on a block's account up to `position`, its watermark."""

    site: str
    link: str
    number: int
    position: int
    relayed: int
    destroyed: int


class Scanned(LogEntry, frozen=True, array_like=True, gc=False, tag_field="tag", tag="leak"):
    """In a checked run: key bytes of the run were found in a body on an arrow that never carries any."""

    arrow: str
    sender: str
    receiver: str
    type: str


class NodeEvent(LogEntry, frozen=True, array_like=True, gc=False, tag_field="tag", tag="node"):
    """A node crashed or started."""

    node: str
    event: str


class Sampled(LogEntry, frozen=True, array_like=True, gc=False, tag_field="tag", tag="account"):
    """The account of a ledger at one instant, in bits: name, then the terms of the conservation law."""

    site: str
    ledger: str
    generated: int
    provisioned: int
    available: int
    reserved: int
    in_flight: int
    relayed: int
    delivered: int
    authentication: int
    quarantined: int
    expired: int
    destroyed: int
