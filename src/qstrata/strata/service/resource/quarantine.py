"""Setting keys aside whose transfers a suspect link block masked, and naming those that were given before."""

from collections.abc import Sequence

from qstrata.core.address import Address
from qstrata.core.effects import Drop, Effects, Handle, Put, Send
from qstrata.fabric.messages.service_control import KeysQuarantined, QuarantineKeys
from qstrata.store.records import KeyRecord, KeyState
from qstrata.strata.service.resource.keystore import KeyStore, committed
from qstrata.strata.service.resource.session import Session


class Quarantine:
    """The quarantine of one KME; it answers `controller`."""

    def __init__(self, store: KeyStore, controller: Handle) -> None:
        self._store = store
        self._controller = controller

    def impose(self, message: QuarantineKeys, sender: Address, now: int) -> Effects:
        """Set the keys of these transfers aside, durably, then say which, and which had been given."""
        wanted: dict[str, set[tuple[bool, int]]] = {}
        for transfer in message.transfers:
            unit, owner, sequence = transfer.rsplit("/", 2)
            wanted.setdefault(unit, set()).add((owner == self._store.site, int(sequence)))
        changes: list[Put | Drop] = []
        touched: list[Session] = []
        set_aside: list[str] = []
        exposed: list[str] = []
        for name, batches in wanted.items():
            session = self._store.sessions.get(name)
            if session is None:
                continue
            touched.append(session)
            changes += session.quarantine(batches)
            for key in _keys_of(session, batches):
                (exposed if key.delivered_to else set_aside).append(key.key_id)
        answer = KeysQuarantined(
            self._store.site, message.end, message.link, tuple(set_aside), tuple(exposed)
        )
        said = Send(self._controller, answer)
        return [committed(changes, touched, lambda now: [said])] if changes else [said]


def _keys_of(session: Session, batches: set[tuple[bool, int]]) -> Sequence[KeyRecord]:
    suspects = (*session.keys.values(), *session.ended.values())
    return [
        key
        for key in suspects
        if (key.own, key.sequence) in batches and (key.delivered_to or key.state is KeyState.QUARANTINED)
    ]
