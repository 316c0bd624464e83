"""What the key interface delivers: ETSI 014 over mutual TLS, durable, once only, beside a constant answer.

Two KMEs run in a process of their own on one core, the load comes from this process on another. Every key
that came is looked at after the run: each id once, and by `dec_keys` the same key as by `enc_keys`.
"""

import itertools
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from benchmarks.crowd import be_crowd
from benchmarks.kme_process import SAES
from benchmarks.kmes import Kmes, Measured, Row
from benchmarks.load import Taken, keys_of, paced, post

SECONDS, QUICK_SECONDS = 6.0, 2.0
FEW, MANY = 16, 256
LARGE = 128
LARGE_PER_S = 250
"""Requests for LARGE keys in a second of measuring: all are sent, however long it takes."""
CROWD = 1000
ALONE_S = 10.0

RATIO, P99_FEW_MS, P99_MANY_MS, KEYS_PER_S, HANDSHAKES_PER_S, SLOWER = 0.5, 10.0, 100.0, 60_000, 150, 2.0


def measure(names: Sequence[str], seconds: float) -> list[Row]:
    """Measure the named rows of ROWS, about so many seconds each."""
    rows: list[Row] = []
    for refill in (False, True):
        wanted = [name for name in names if name.startswith("refilled-") == refill]
        if wanted:
            with Kmes(refill=refill) as kmes:
                rows += [ROWS[name](kmes, name, seconds) for name in wanted]
    return rows


def _enc(kmes: Kmes, name: str, seconds: float) -> Row:
    kmes.ask("fill", _enough(seconds))
    before, began_s = kmes.usage(), time.monotonic()
    keys, constant = kmes.load_beside_constant(0, FEW, itertools.repeat(_asking(1)), seconds)
    refilled_per_s = (kmes.usage().drawn - before.drawn) / (time.monotonic() - began_s)
    keys_of(keys.taken.answers)
    note = f"{refilled_per_s:,.0f} keys/s refilled meanwhile" if name.startswith("refilled-") else ""
    return _row_beside(name, keys, constant, note)


def _dec(kmes: Kmes, name: str, seconds: float) -> Row:
    wanted = _enough(seconds)
    kmes.ask("fill", wanted)
    given = kmes.load(0, FEW, itertools.repeat(_asking(LARGE), wanted // LARGE), 60.0)
    known = keys_of(given.taken.answers)
    keys, constant = kmes.load_beside_constant(1, FEW, map(_fetching, known), seconds)
    for key_id, key in keys_of(keys.taken.answers).items():
        if known[key_id] != key:
            raise ValueError(f"the two KMEs gave different keys of id {key_id}")
    return _row_beside(name, keys, constant, "")


def _many(kmes: Kmes, name: str, seconds: float) -> Row:
    kmes.ask("fill", _enough(seconds))
    keys = kmes.load(0, MANY, itertools.repeat(_asking(1)), seconds)
    keys_of(keys.taken.answers)
    row = _row(name, keys.taken, keys)
    bound = f"p99 <= {P99_MANY_MS:g} ms"
    return msgspec.structs.replace(row, bound=bound, holds=row.p99_ms <= P99_MANY_MS)


def _large(kmes: Kmes, name: str, seconds: float) -> Row:
    requests = round(LARGE_PER_S * seconds)
    kmes.ask("fill", requests * LARGE)
    keys = kmes.load(0, FEW, itertools.repeat(_asking(LARGE), requests), 60.0)
    per_s = len(keys_of(keys.taken.answers)) / keys.taken.elapsed_s
    row = _row(name, keys.taken, keys)
    return msgspec.structs.replace(
        row, per_s=per_s, unit="keys", bound=f">= {KEYS_PER_S:,}/s", holds=per_s >= KEYS_PER_S
    )


def _handshakes(kmes: Kmes, name: str, seconds: float) -> Row:
    kmes.ask("fill", _enough(seconds))
    keys = kmes.load(0, FEW, itertools.repeat(_asking(1)), seconds, fresh=True)
    keys_of(keys.taken.answers)
    row = _row(name, keys.taken, keys)
    bound = f">= {HANDSHAKES_PER_S}/s"
    return msgspec.structs.replace(row, bound=bound, holds=row.per_s >= HANDSHAKES_PER_S)


def _slow_clients(kmes: Kmes, name: str, seconds: float) -> Row:
    """Ask for a status now and then: alone, and while a thousand slow clients come and are cut."""
    kmes.ask("fill", _enough(1.0))
    port, tls = kmes.port(1), kmes.tls(1)
    request = post(f"/api/v1/keys/{quote(SAES[0], safe='')}/status", b"").replace(b"POST", b"GET")
    over = threading.Event()
    timer = threading.Timer(ALONE_S, over.set)
    timer.start()
    alone = paced(port, tls, request, over.is_set)
    path = f"/api/v1/keys/{quote(SAES[0], safe='')}/enc_keys"
    target = (port, path, kmes.certificates(1), CROWD, kmes.core)
    crowd = multiprocessing.get_context("spawn").Process(target=be_crowd, args=target)
    crowd.start()
    beside = paced(port, tls, request, lambda: not crowd.is_alive())
    if crowd.exitcode != 0:
        raise RuntimeError("not every slow client was let in")
    alone_ms, beside_ms = alone.quantile_ms(0.99), beside.quantile_ms(0.99)
    row = _row(name, beside, None)
    return msgspec.structs.replace(
        row,
        ratio=beside_ms / alone_ms,
        bound=f"p99 <= {SLOWER:g} times alone",
        holds=beside_ms <= SLOWER * alone_ms,
        note=f"p99 alone {alone_ms:.1f} ms, beside {CROWD:,} slow clients {beside_ms:.1f} ms",
    )


ROWS: dict[str, Callable[[Kmes, str, float], Row]] = {
    "enc": _enc,
    "dec": _dec,
    "many": _many,
    "large": _large,
    "handshakes": _handshakes,
    "slow-clients": _slow_clients,
    "refilled-enc": _enc,
    "refilled-dec": _dec,
}
MEANT = {
    "enc": f"enc_keys, {FEW} connections",
    "dec": f"dec_keys, {FEW} connections",
    "many": f"enc_keys, {MANY} connections",
    "large": f"enc_keys, {LARGE} keys each",
    "handshakes": "enc_keys, each a handshake",
    "slow-clients": f"status, {CROWD:,} slow clients",
    "refilled-enc": f"enc_keys, {FEW}, refill on",
    "refilled-dec": f"dec_keys, {FEW}, refill on",
}


def _row(name: str, taken: Taken, measured: Measured | None) -> Row:
    return Row(
        row=MEANT[name],
        per_s=taken.rate_per_s,
        unit="req",
        p50_ms=taken.quantile_ms(0.5),
        p99_ms=taken.quantile_ms(0.99),
        cpu_ms=measured.cpu_ms if measured is not None else 0.0,
        load_1_min=round(os.getloadavg()[0], 2),
        bound="",
        holds=True,
    )


def _row_beside(name: str, keys: Measured, constant: Measured, note: str) -> Row:
    row = _row(name, keys.taken, keys)
    ratio = row.per_s / constant.taken.rate_per_s
    return msgspec.structs.replace(
        row,
        constant_per_s=constant.taken.rate_per_s,
        constant_cpu_ms=constant.cpu_ms,
        ratio=ratio,
        cpu_ratio=constant.cpu_ms / keys.cpu_ms,
        bound=f"ratio >= {RATIO:g}, p99 <= {P99_FEW_MS:g} ms",
        holds=ratio >= RATIO and row.p99_ms <= P99_FEW_MS,
        note=note,
    )


def _enough(seconds: float) -> int:
    return round(10_000 * seconds)


def _asking(number: int) -> bytes:
    return post(f"/api/v1/keys/{quote(SAES[1], safe='')}/enc_keys", b'{"number":%d}' % number)


def _fetching(key_id: str) -> bytes:
    body: Any = {"key_IDs": [{"key_ID": key_id}]}
    return post(f"/api/v1/keys/{quote(SAES[0], safe='')}/dec_keys", msgspec.json.encode(body))
