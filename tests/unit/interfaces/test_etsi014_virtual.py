"""An SAE without sockets keeps a history that says what it asked, and what became of it."""

from qstrata.core.secrets import KeyMaterial
from qstrata.interfaces.etsi014.virtual import VirtualSae
from tests.unit.interfaces.scripted import ALICE, BOB, CAROL, SECOND, Site, bits_of

SALT = b"salt of the run"


def test_both_ends_of_a_key_have_the_same_digest_that_the_run_gives_it():
    site = Site()
    history = []
    alice = VirtualSae(site.handler, ALICE, SALT, history)
    bob = VirtualSae(site.handler, BOB, SALT, history)

    def fetch(entry, now):
        bob.get_keys_by_id(ALICE, entry.key_ids, now)

    alice.get_keys(BOB, 0, number=3, then=fetch)
    site.run()
    given, fetched = history
    assert (given.verb, given.outcome, len(given.key_ids)) == ("enc", 200, 3)
    assert (fetched.verb, fetched.outcome) == ("dec", 200)
    assert fetched.key_ids == given.key_ids
    expected = tuple(KeyMaterial(bits_of(key_id, 256)).digest(SALT) for key_id in given.key_ids)
    assert given.digests == fetched.digests == expected


def test_a_refusal_is_in_the_history_with_its_text_and_without_keys():
    site = Site()
    sae = VirtualSae(site.handler, ALICE, SALT)
    sae.get_keys(CAROL, 0)
    sae.get_keys(BOB, 0, size_bits=12)
    site.run()
    assert [(entry.outcome, entry.message) for entry in sae.history] == [
        (400, "size shall be a multiple of 8"),
        (401, "these two SAEs may not pair"),
    ]
    assert all(not entry.digests for entry in sae.history)


def test_the_status_is_asked_and_recorded():
    site = Site()
    sae = VirtualSae(site.handler, ALICE, SALT)
    sae.status(BOB, 0)
    site.run()
    assert [(entry.verb, entry.outcome) for entry in sae.history] == [("status", 200)]


def test_a_call_without_an_answer_stays_open_with_the_ids_that_may_be_gone():
    site = Site()
    sae = VirtualSae(site.handler, BOB, SALT)
    site.kme.silent = True
    sae.get_keys_by_id(ALICE, ["550e8400-e29b-41d4-a716-446655440000"], 0)
    site.run()
    site.crash_face()
    site.run(for_ps=60 * SECOND)
    (entry,) = sae.unanswered()
    assert (entry.outcome, entry.answered_ps) == (0, -1)
    assert entry.key_ids == ("550e8400-e29b-41d4-a716-446655440000",)
    assert sae.history == []


def test_the_history_says_when_it_was_asked_and_when_answered():
    site = Site()
    sae = VirtualSae(site.handler, ALICE, SALT)
    site.run(for_ps=3 * SECOND)
    site.kme.silent = True
    sae.get_keys(BOB, site.queue.now)
    site.run(for_ps=60 * SECOND)
    (entry,) = sae.history
    assert (entry.time_ps, entry.answered_ps, entry.outcome) == (3 * SECOND, 8 * SECOND, 503)
