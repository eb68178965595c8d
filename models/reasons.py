"""Why a record is set aside, and why a link did not become what it should: one closed set of words per stage.

A word means the same everywhere: in `x-quarantine-reason`, a record's `reason`, a metric's label. A new one is
a word here and a sentence in `SAYS`; what raises any other does not pass mypy, what writes any other fails a test.
"""

from collections.abc import Mapping
from typing import Final, Literal, get_args

# Of any stage: what its own words do not say.
EngineReason = Literal["unreadable", "unprocessable", "too_large", "too_costly"]
UNREADABLE: Final = "unreadable"
UNPROCESSABLE: Final = "unprocessable"
TOO_LARGE: Final = "too_large"
TOO_COSTLY: Final = "too_costly"

BodyReason = Literal["not_json", "not_an_object", "ambiguous"]
DeliveriesReason = Literal[
    EngineReason,
    BodyReason,
    "no_meta",
    "no_message_id",
    "no_type",
    "no_patient",
    "too_many_patients",
    "unknown_shape",
]
# How a link ended: the `reason` of `documents` and `bundles`.
LinkReason = Literal[
    "no_link",
    "query_failed",
    "source_failed",
    "bad_link",
    "not_signed",
    "too_many_links",
    "address_refused",
    "redirected",
    "certificate",
    "forbidden",
    "not_found",
    "gone",
    "refused",
    "server_error",
    "unreachable",
    "timed_out",
    "too_slow",
    "too_large",
    "too_inflated",
    "truncated",
    "bad_answer",
    "wrong_encoding",
    "wrong_content",
    "wrong_hash",
    "unprocessable",
    "too_costly",
]
LinksReason = Literal[EngineReason, LinkReason, "unknown_shape", "no_rows", "too_many_rows", "unreadable_row"]
# Also the `reason` of `fhir.snapshots`.
BundlesReason = Literal[
    EngineReason,
    "no_patient",
    "no_blob",
    "not_json",
    "not_a_bundle",
    "truncated",
    "other_patient",
    "too_many_resources",
    "crashed",
]
PatientsReason = Literal[EngineReason, "no_patient"]
Reason = Literal[DeliveriesReason, LinksReason, BundlesReason, PatientsReason]

OF_LINK: tuple[LinkReason, ...] = get_args(LinkReason)
OF_STAGE: Mapping[str, tuple[Reason, ...]] = {
    "deliveries": get_args(DeliveriesReason),
    "links": get_args(LinksReason),
    "bundles": get_args(BundlesReason),
    "patients": get_args(PatientsReason),
}

SAYS: Mapping[Reason, str] = {
    "unreadable": "The stage cannot read it: not a record of this service, or read in a way that nobody foresaw.",
    "unprocessable": "The work on it failed in a way that nobody foresaw.",
    "too_large": "It, or what would become of it, is larger than may be.",
    "too_costly": "The work on it ended the process again and again, or would take too long.",
    "not_json": "It is not JSON.",
    "not_an_object": "It is JSON, and no object.",
    "ambiguous": "A name is there twice: two readers would understand it differently.",
    "no_meta": "It has no `meta`.",
    "no_message_id": "It has no `meta.messageId`.",
    "no_type": "It has no `meta.type`.",
    "no_patient": "It does not say whose it is.",
    "too_many_patients": "It names so many patients that the ingress kept it in one piece.",
    "unknown_shape": "Its type is known, and it does not look as that type does.",
    "no_link": "There is no link.",
    "query_failed": "Metriport says that the query failed.",
    "source_failed": "Metriport says that the source failed.",
    "bad_link": "The link is no URL.",
    "not_signed": "The link is not presigned: it is told and not fetched.",
    "too_many_links": "The delivery has more links than are fetched.",
    "address_refused": "The link leads where no link of Metriport's may lead.",
    "redirected": "The server sends elsewhere; that is not followed.",
    "certificate": "The server's certificate is not valid.",
    "forbidden": "The server says 403.",
    "not_found": "The server says 404.",
    "gone": "The server says 410.",
    "refused": "The server refuses with another status.",
    "server_error": "The server says 5xx.",
    "unreachable": "No server answers.",
    "timed_out": "The answer did not come in time.",
    "too_slow": "The body did not come in time.",
    "too_inflated": "Unpacked it is larger than may be.",
    "truncated": "It ends too early.",
    "bad_answer": "The answer is not HTTP as it should be.",
    "wrong_encoding": "It is encoded in a way that was not asked for, or cannot be unpacked.",
    "wrong_content": "It is not what the link should lead to.",
    "wrong_hash": "It is not what the server says that it sent.",
    "no_rows": "The result has a header and no rows.",
    "too_many_rows": "The result has more rows than `BULK_ROWS_MAX`; the first ones are published.",
    "unreadable_row": "The row cannot be read with certainty.",
    "no_blob": "The bundle is not in the blob store.",
    "not_a_bundle": "It is JSON, and no FHIR bundle.",
    "other_patient": "It is about another patient.",
    "too_many_resources": "The bundle has more resources than `BUNDLE_RESOURCES_MAX`.",
    "crashed": "The check of a resource ended its process.",
}
