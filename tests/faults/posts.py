"""Deliveries about many patients, as Metriport would post them: new ones, sent again, and some nobody can map."""

import json
import random
from dataclasses import dataclass

from models import messages, samples

SAMPLES = tuple(name for name in samples.names() if name not in ("ping", "devices.health-data"))
STATUSES = ("processing", "completed", "failed")
STAYS = 3
AGAIN_SHARE = 0.10
POISON_SHARE = 0.02
AGAIN_WITHIN = 3000
# What Metriport says of a time that did not come in order: within a month.
MONTH_MS = 30 * 24 * 3600 * 1000


@dataclass(frozen=True)
class Post:
    """One body; `lane` tells apart what must stay in order."""

    body: bytes
    lane: int
    poison: bool = False


def posts(count: int, *, patients: int, seed: int) -> list[Post]:
    """Return `count` posts, the same for the same seed."""
    chance = random.Random(seed)
    made: list[Post] = []
    originals: list[Post] = []
    for number in range(count):
        lot = chance.random()
        if lot < POISON_SHARE:
            made.append(Post(_poison(number, chance), chance.randrange(patients), poison=True))
        elif lot < POISON_SHARE + AGAIN_SHARE and originals:
            first = chance.choice(originals[-AGAIN_WITHIN:])
            made.append(Post(_again(first.body, chance), first.lane))
        else:
            patient = chance.randrange(patients)
            made.append(Post(_new(number, patient, patients, chance), patient))
            originals.append(made[-1])
    return made


def _new(number: int, patient: int, patients: int, chance: random.Random) -> bytes:
    delivery = json.loads(_TEXTS[chance.choice(SAMPLES)])
    meta = delivery["meta"]
    meta["messageId"] = f"m-{number}-{chance.getrandbits(64):x}"
    meta["when"] = _time(chance.randrange(MONTH_MS))
    if chance.random() < 0.5:
        meta["data"] = {"tenant": f"t{chance.randrange(50)}", "referral": f"R-{number}"}
    if job := delivery.get("bulkPatientCreate"):
        meta["requestId"] = job["requestId"] = f"job-{patient % 50}"
        job["status"] = chance.choice(STATUSES)
    for entry in delivery.get("patients", ()):
        _about(entry, patient, chance)
        entry["status"] = chance.choice(STATUSES)
    if payload := delivery.get("payload"):
        _about(payload, patient, chance)
        if meta["type"] in messages.TYPES and messages.TYPES[meta["type"]].is_stay:
            _stay(payload, patient, chance)
    if delivery.get("patients") and chance.random() < 0.02:
        # One delivery may speak of several patients, who need not be of one partition.
        other = json.loads(json.dumps(delivery["patients"][0]))
        _about(other, (patient + 1) % patients, chance)
        delivery["patients"].append(other)
    return samples.encode(delivery)


def _about(part: dict, patient: int, chance: random.Random) -> None:
    part["patientId"] = f"patient-{patient:05}"
    part.pop("externalId", None)
    part.pop("additionalIds", None)
    if chance.random() < 0.5:
        part["externalId"] = f"MRN-{patient}-{chance.randrange(3)}"
    if chance.random() < 0.3:
        part["additionalIds"] = {"athenahealth": [f"a-{patient}.{chance.randrange(3)}"]}


def _stay(payload: dict, patient: int, chance: random.Random) -> None:
    """Make it one of the patient's stays, each of which has its own times and encounter."""
    number = chance.randrange(STAYS)
    begins_ms = number * MONTH_MS // STAYS
    link, _, query = payload["url"].partition("?")
    root = link.split("/ADT/")[0]
    payload["url"] = f"{root}/ADT/encounter-{patient}-{number}/encounter.hl7.json?{query}"
    payload["admitTimestamp"] = _time(begins_ms)
    if "dischargeTimestamp" in payload:
        payload["dischargeTimestamp"] = _time(begins_ms + MONTH_MS // STAYS - 1)
    for transfer in payload.get("transfers", ()):
        transfer["timestamp"] = _time(begins_ms + chance.randrange(1, 20) * 1000)


def _again(body: bytes, chance: random.Random) -> bytes:
    """Return it as a manual retry sends it: keys in another order, and without `meta.data`."""
    delivery = json.loads(body)
    delivery["meta"].pop("data", None)
    return samples.encode({name: _shuffled(delivery[name], chance) for name in reversed(delivery)})


def _shuffled(part, chance: random.Random):
    if not isinstance(part, dict):
        return part
    names = list(part)
    chance.shuffle(names)
    return {name: part[name] for name in names}


def _poison(number: int, chance: random.Random) -> bytes:
    """Return a body nobody can map, unlike any other."""
    form = chance.choice(
        (
            '{"meta":{"messageId":"bad-%d","type":"patient.admit"',
            '["bad-%d"]',
            '{"bad":%d}',
            '{"meta":{"messageId":"bad-%d","type":12}}',
            '{"meta":{"messageId":"bad-%d","messageId":"other","type":"patient.admit"},"payload":{"patientId":"p"}}',
            '{"meta":{"messageId":"bad-%d","type":"patient.admit"},"payload":{}}',
            '{"meta":{"messageId":"bad-%d","type":"medical.document-download"},"patients":[{"patientId":null}]}',
            '{"meta":{"type":"patient.admit"},"payload":{"patientId":"bad-%d"}}',
            '{"meta":{"messageId":"bad-%d","type":"patient.admit"},"payload":{"patientId":NaN}}',
        )
    )
    return (form % number).encode()


def _time(ms: int) -> str:
    """Return a moment of one month, as Metriport writes it."""
    days, rest = divmod(ms, 24 * 3600 * 1000)
    hours, rest = divmod(rest, 3600 * 1000)
    minutes, rest = divmod(rest, 60 * 1000)
    return f"2026-06-{days + 1:02}T{hours:02}:{minutes:02}:{rest // 1000:02}.{rest % 1000:03}Z"


_TEXTS = {name: json.dumps(samples.load(name)) for name in SAMPLES}
