"""Setting keys aside whose transfers a suspect link block masked, and naming those that were given before."""

from collections.abc import Collection

from qstrata.core.address import Address
from qstrata.core.effects import Drop, Effects, Handle, Put, Send
from qstrata.fabric.messages.service_control import KeysQuarantined, QuarantineKeys
from qstrata.store.records import KeyRecord, KeyState
from qstrata.strata.service.resource.keystore import KeyStore, committed
from qstrata.strata.service.resource.session import Session

_Batches = Collection[tuple[bool, int]]


class Quarantine:
    """The quarantine of one KME; it answers `controller`."""

    def __init__(self, store: KeyStore, controller: Handle) -> None:
        self._store = store
        self._controller = controller

    def impose(self, message: QuarantineKeys, sender: Address, now: int) -> Effects:
        """Set the keys of these transfers aside, durably, then say which, and which had been given.

        The answer waits for a commit even where nothing changes, so that it comes after every delivery that
        was under way.
        """
        wanted: dict[str, set[tuple[bool, int]]] = {}
        for transfer in message.transfers:
            unit, owner, sequence = transfer.rsplit("/", 2)
            wanted.setdefault(unit, set()).add((owner == self._store.site, int(sequence)))
        changes: list[Put | Drop] = []
        touched: list[Session] = []
        set_aside: list[str] = []
        exposed: list[str] = []
        copies: dict[str, None] = {}
        for name, batches in wanted.items():
            session = self._store.sessions.get(name)
            if session is None:
                continue
            touched.append(session)
            changes += session.quarantine(batches)
            for key in _keys_of(session, batches):
                copies.update(dict.fromkeys(self._copies(key)))
                if key.delivered_to:
                    exposed.append(key.key_id)
                elif key.state is KeyState.QUARANTINED:
                    set_aside.append(key.key_id)
        answer = KeysQuarantined(
            message.serial, self._store.site, message.link, tuple(set_aside), tuple(exposed), tuple(copies)
        )
        return [committed(changes, touched, lambda now: [Send(self._controller, answer)])]

    def _copies(self, key: KeyRecord) -> list[str]:
        """Return the transfers that took an own key to the KMEs of its other slaves."""
        others = (session.find(key.key_id) for session in self._store.holders(key.key_id) if key.own)
        return [
            f"{other.session}/{self._store.site}/{other.sequence}"
            for other in others
            if other is not None and other.session != key.session
        ]


def _keys_of(session: Session, batches: _Batches) -> list[KeyRecord]:
    suspects = (*session.keys.values(), *session.ended.values())
    return [key for key in suspects if (key.own, key.sequence) in batches]
