"""A type of message that Metriport does not have, added as any is: two models and one entry of the table.

A program of its own: what derives from the table does so when it is loaded. It prints what came of one delivery.
"""

from models import messages, records, wire


class ImagingPayload(wire.Patient):
    url: wire.TextAlways = None
    modality: wire.Text = None


class PatientImaging(records.Common):
    url: str | None = None
    modality: str | None = None


IMAGING = messages.MessageType(
    name="patient.imaging",
    says="pictures were taken, with a link to their FHIR bundle",
    wire=ImagingPayload,
    record=PatientImaging,
    links=messages.BundleLink("url", kind="notification"),
)

if __name__ == "__main__":
    messages.TYPES = {**messages.TYPES, IMAGING.name: IMAGING}
    from tests.unit.made_up.way import main

    main(
        {
            "meta": {"messageId": "m-1", "when": "2026-02-01T10:00:00.000Z", "type": "patient.imaging"},
            "payload": {"patientId": "p-1", "modality": "MR", "url": "https://b.s3.amazonaws.com/bundle.json"},
        }
    )
