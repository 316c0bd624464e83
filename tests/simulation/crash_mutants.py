"""Mutants: the running code, each changed at one place so that it breaks one promise."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import pytest

from qstrata.core.address import End
from qstrata.core.effects import Commit, Effect, Effects, Note, Put, Send
from qstrata.core.secrets import KeyMaterial
from qstrata.fabric.messages.samples import KmeSample
from qstrata.fabric.messages.service_control import CreditWanted
from qstrata.planes import places
from qstrata.store.records import BatchRecord, BatchState
from qstrata.strata.forwarding.resource import agent, carrier, pool
from qstrata.strata.service.resource import delivery, kme, refill, session

Install = Callable[[pytest.MonkeyPatch], None]


class Mutant(NamedTuple):
    """One change, and the rule that must report it."""

    name: str
    rule: str
    install: Install


def wrapped(owner: Any, name: str, wrap: Callable[..., Any]) -> Install:
    """Replace `owner.name` by one that is given the original first."""

    def install(patch: pytest.MonkeyPatch) -> None:
        original = getattr(owner, name)
        patch.setattr(owner, name, lambda *args, **named: wrap(original, *args, **named))

    return install


def _at_once(effects: Effects, now: int) -> Effects:
    """Go on with every commit at once, and make it durable afterwards."""
    early: list[Effect] = []
    for effect in effects:
        if isinstance(effect, Commit) and effect.then is not None:
            early += [*effect.then(now), Commit(effect.changes)]
        else:
            early.append(effect)
    return early


def flipped(bits: KeyMaterial) -> KeyMaterial:
    data = bits.reveal()
    return KeyMaterial(bytes((data[0] ^ 1,)) + data[1:])


def _allocate_again(original: Any, self: pool.LinkPool, length: int, now: int) -> Any:
    earlier = getattr(self, "earlier", ())
    alive = all((block := self.blocks.get(s.number)) is not None and block.bits is not None for s in earlier)
    if earlier and alive and sum(s.length for s in earlier) == length:
        return earlier
    self.earlier = original(self, length, now)  # type: ignore[attr-defined]
    return self.earlier  # type: ignore[attr-defined]


def _forget_position(original: Any, self: pool.LinkPool, state: Any, bits: Any) -> None:
    original(self, msgspec.structs.replace(state, position=state.relayed, destroyed=0), bits)


def _forget_to_burn(original: Any, self: pool.LinkPool, state: Any, bits: Any) -> None:
    original(self, state, bits)
    if state.number in self.blocks:
        self.blocks[state.number].state = state


def _follow_anything(original: Any, self: pool.LinkPool, segments: Any) -> bool:
    for segment in segments:
        block = self.blocks.get(segment.number)
        if block is None or block.bits is None:
            return False
        block.state = msgspec.structs.replace(block.state, position=segment.offset + segment.length)
    return True


def _give_and_keep(original: Any, self: pool.LinkPool, now: int, idle_ps: int) -> Any:
    number = original(self, now, idle_ps)
    if number is not None:
        block = self.blocks[number]
        block.state = msgspec.structs.replace(block.state, owner=self.site)
    return number


def _swap_terms(original: Any, self: pool.LinkPool, number: int, position: int, one: int, two: int) -> Any:
    return original(self, number, position, two, one)


def _settle_twice(original: Any, self: pool.LinkPool, segments: Any, relayed: bool) -> None:
    original(self, segments, relayed)
    original(self, segments, relayed)


def _go_at_once(original: Any, self: Any, *args: Any) -> Effects:
    return _at_once(original(self, *args), args[6])


def _read_otherwise(original: Any, self: Any, message: Any, sender: Any, now: int) -> Effects:
    if self.address.site == "b":
        message = msgspec.structs.replace(message, bits=flipped(message.bits))
    return original(self, message, sender, now)  # type: ignore[no-any-return]


def _place_otherwise(original: Any, self: Any, message: Any, sender: Any, now: int) -> Effects:
    changed = msgspec.structs.replace(message, bits=flipped(message.bits)) if message.bits else message
    return original(self, changed, sender, now)  # type: ignore[no-any-return]


def _place_at_once(original: Any, self: Any, message: Any, sender: Any, now: int) -> Effects:
    return _at_once(original(self, message, sender, now), now)


def _place_as_own(original: Any, self: Any, message: Any, sender: Any, now: int) -> Effects:
    effects = original(self, message, sender, now)
    mine = self._store.sessions[message.header.session]
    mine.ready.extendleft(key_id for key_id in message.header.key_ids if key_id in mine.keys)
    return effects  # type: ignore[no-any-return]


def _fail_as_ready(original: Any, self: Any, transfer: Any, reason: str, now: int) -> Effects:
    if transfer.waiting is not None:
        return original(self, transfer, reason, now)  # type: ignore[no-any-return]
    changes = transfer.session.make_ready(transfer.header.sequence)
    transfer.session.ready.extend(transfer.header.key_ids)
    return [Commit(tuple(changes))]


def _load_as_ready(original: Any, self: Any, records: Sequence[Any]) -> Any:
    ready = [
        msgspec.structs.replace(row, state=BatchState.READY)
        if isinstance(row, BatchRecord) and row.state is BatchState.RESERVED
        else row
        for row in records
    ]
    return original(self, ready)


def _hand_out_at_once(original: Any, self: Any, *args: Any) -> Effects:
    return _at_once(original(self, *args), 0)


def _hand_out_unmarked(original: Any, self: Any, *args: Any) -> Effects:
    return [Commit((), effect.then) for effect in original(self, *args)]


def _hand_out_unnoted(original: Any, self: Any, *args: Any) -> Effects:
    (commit,) = original(self, *args)
    return [Commit(commit.changes, lambda now: [e for e in commit.then(now) if not isinstance(e, Note)])]


def _kept(key: Any) -> Any:
    return msgspec.structs.replace(key, bits=KeyMaterial(key.bits.reveal()))


def _keep_after_enc(original: Any, self: Any, mine: Any, keys: Any, verb: str, *args: Any) -> Effects:
    saved = [_kept(key) for key in keys]
    effects = original(self, mine, keys, verb, *args)
    for key in saved if verb == "enc" else ():
        if key.sequence in mine.live and not getattr(mine, "kept", False):
            mine.kept = True
            mine.live[key.sequence] += 1
            mine.keys[key.key_id] = key
            mine.ready.appendleft(key.key_id)
            del mine.ended[key.key_id]
    return effects  # type: ignore[no-any-return]


def _keep_after_dec(original: Any, self: Any, mine: Any, keys: Any, verb: str, *args: Any) -> Effects:
    saved = [_kept(key) for key in keys]
    effects = original(self, mine, keys, verb, *args)
    for key in saved if verb == "dec" else ():
        mine.keys[key.key_id] = key
        mine.from_peer.setdefault(key.sequence, {})[key.key_id] = None
    return effects  # type: ignore[no-any-return]


def _fetchable_after_end(original: Any, mine: Any, key: Any, message: Any, now: int) -> Any:
    return original(mine, key, message, 0)


def _outlive_the_session(patch: pytest.MonkeyPatch) -> None:
    wrapped(delivery, "_is_fetchable", _fetchable_after_end)(patch)
    patch.setattr(delivery, "min", lambda ends: 1 << 80, raising=False)
    patch.setattr(kme.KmeElement, "_end", lambda self, ended: [])


def _let_anybody_fetch(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(delivery, "_may_fetch", lambda mine, key, sae: True)
    patch.setattr(delivery, "_is_fetchable", lambda mine, key, message, now: key.bits is not None)


def _copy_otherwise(original: Any, key: Any) -> KeyMaterial:
    return flipped(original(key))


def _known_bits(mine: session.Session) -> bytes:
    ready = [mine.keys[key_id] for key_id in mine.ready]
    return next((key.bits.reveal() for key in ready if key.bits is not None), b"")


def _tell_telemetry(original: Any, mine: Any) -> Any:
    return msgspec.structs.replace(original(mine), refill=_known_bits(mine).hex())


def _tell_control(original: Any, self: Any, mine: Any, now: int) -> Effects:
    told = CreditWanted(_known_bits(mine).hex(), mine.record.session, 0)
    return [*original(self, mine, now), Send(self._controller, told)]


def _tell_as_number(original: Any, self: Any, number: int, block: Any, length: int, now: int) -> Any:
    sample = original(self, number, block, length, now)
    if block.bits is None:
        return sample
    return msgspec.structs.replace(sample, leakage_bits=int.from_bytes(block.bits.reveal(0, 32), "big"))


def _sample_to_a_stranger(original: Any, self: Any, now: int) -> Effects:
    stranger = self.store.port.bind(places.telemetry(End.FORWARDING_TEL, "lab"))
    return [Send(stranger, KmeSample(self.address.site, now, ()))]


def _void_nothing(original: Any, self: Any, sequences: Any) -> list[Put]:
    return []


POOL, KEYS = pool.LinkPool, session.Session
HAND_OUT = (delivery.Delivery, "_hand_out")

MUTANTS = (
    Mutant("pad bits used twice", "pad-once", wrapped(POOL, "allocate", _allocate_again)),
    Mutant("offsets behind followed again", "pad-once", wrapped(POOL, "follow", _follow_anything)),
    Mutant("ciphertext before mark", "spent-before-sent", wrapped(carrier.Carrier, "_go", _go_at_once)),
    Mutant("spent gap allocated again", "spent-gap", wrapped(POOL, "_enter", _forget_position)),
    Mutant("spent gap not burnt", "spent-gap", wrapped(POOL, "_enter", _forget_to_burn)),
    Mutant("block given and kept", "one-owner", wrapped(POOL, "give", _give_and_keep)),
    Mutant("account adopted wrongly", "settled-watermarks", wrapped(POOL, "adopt", _swap_terms)),
    Mutant("bits settled twice", "conservation", wrapped(POOL, "settle", _settle_twice)),
    Mutant("block differs at one end", "equal-ends", wrapped(agent.AgentElement, "_read", _read_otherwise)),
    Mutant("key differs at far end", "equal-ends", wrapped(refill.Refill, "place", _place_otherwise)),
    Mutant("void keys kept", "equal-ends", wrapped(KEYS, "destroy_from_peer", _void_nothing)),
    Mutant("placed before durable", "nothing-lost", wrapped(refill.Refill, "place", _place_at_once)),
    Mutant("ready without answer", "nothing-lost", wrapped(refill.Refill, "_fail", _fail_as_ready)),
    Mutant("reserved batch revived", "nothing-lost", wrapped(KEYS, "load", _load_as_ready)),
    Mutant("sides swapped", "sides", wrapped(refill.Refill, "place", _place_as_own)),
    Mutant("answer before sync", "sync-before-answer", wrapped(*HAND_OUT, _hand_out_at_once)),
    Mutant("delivery never marked", "key-once", wrapped(*HAND_OUT, _hand_out_unmarked)),
    Mutant("enc gives a key twice", "key-once", wrapped(*HAND_OUT, _keep_after_enc)),
    Mutant("dec gives a key twice", "key-once", wrapped(*HAND_OUT, _keep_after_dec)),
    Mutant("answer not noted", "histories-agree", wrapped(*HAND_OUT, _hand_out_unnoted)),
    Mutant("other bits answered", "equal-clients", wrapped(delivery, "_own", _copy_otherwise)),
    Mutant("anybody fetches", "right-pair", _let_anybody_fetch),
    Mutant("expired key revived", "expired", _outlive_the_session),
    Mutant("key in telemetry", "never-arrows", wrapped(kme, "_session_sample", _tell_telemetry)),
    Mutant("key told to control", "never-arrows", wrapped(refill.Refill, "_renew", _tell_control)),
    Mutant(
        "pad told as number", "never-arrows", wrapped(agent.AgentElement, "_block_sample", _tell_as_number)
    ),
    Mutant(
        "sample to another stratum", "refusals", wrapped(kme.KmeElement, "_sample", _sample_to_a_stranger)
    ),
)
