"""What an operator can set for the `bundles` stage."""

from typing import Literal

from pydantic import Field, field_validator

from models.fhir_types import R4_TYPES
from models.settings import StateTypesSettings
from streams.settings import BlobStoreSettings, StageSettings

Level = Literal["off", "structure", "lint"]


class BundlesSettings(StateTypesSettings, BlobStoreSettings, StageSettings):
    """What `bundles` needs beside what every stage needs."""

    bundle_bytes_max: int = Field(2 * 2**30, ge=2**20, description="Largest bundle that is looked at.")
    bundle_resources_max: int = Field(1_000_000, ge=1, description="Most resources a bundle may have.")
    fhir_level: Level = Field("structure", description="How closely resources are looked at.")
    fhir_level_by_type: dict[str, Level] = Field(default_factory=dict, description="JSON: levels of single types.")
    fhir_fast: bool = Field(default=True, description="The compiled check before the library; off: library only.")
    fhir_audit_one_in: int = Field(1000, ge=1, description="One in so many quick yeses is given to the library, too.")
    fhir_processes: int = Field(1, ge=1, le=64, description="Processes that check resources.")
    fhir_process_bytes_max: int = Field(4 * 2**30, ge=2**28, description="Address space of each of them.")
    resource_bytes_max: int = Field(16 * 2**20, ge=1024, description="Largest resource that is checked.")
    resource_elements_max: int = Field(20_000, ge=100, description="Most objects and lists in a resource.")
    resource_depth_max: int = Field(64, ge=8, le=100, description="Deepest nesting of a resource.")
    resource_timeout_s: float = Field(2.0, gt=0, le=5, description="After that a single resource counts as crashed.")
    value_bytes_max: int = Field(8 * 2**20, ge=1024, description="A larger resource is published as a pointer.")
    removed_after_absences: int = Field(2, ge=1, description="Complete snapshots without a resource before it is gone.")
    removed_after_days: float = Field(7, ge=0, description="Days between the first and the last of them.")
    removals_share_max: float = Field(0.2, ge=0, le=1, description="A larger share of a patient's resources is held.")
    removals_held_from: int = Field(10, ge=1, description="Fewer resources are never held for their share.")
    removals_window_days: int = Field(30, ge=1, description="Days whose removals are added up.")

    @field_validator("fhir_level_by_type")
    @classmethod
    def _known_types(cls, value: dict[str, Level]) -> dict[str, Level]:
        if unknown := sorted(set(value) - R4_TYPES):
            raise ValueError(f"FHIR R4 has no resource type {unknown[0]!r}")
        return value
