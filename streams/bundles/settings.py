"""What an operator can set for the `bundles` stage."""

from typing import Literal

from pydantic import Field

from models import topics
from models.settings import WorkerSettings
from streams.bundles.job import Options
from streams.bundles.resource import content_hash
from streams.bundles.snapshot import subjects
from streams.bundles.snapshot.brake import Brake
from streams.bundles.snapshot.compare import SnapshotLimits
from streams.bundles.snapshot.diff import Grace
from streams.bundles.validation.build import Standards, validator_id
from streams.bundles.validation.pool import PoolLimits

Level = Literal["off", "structure", "lint"]

_DAY_MS = 24 * 60 * 60 * 1000


class BundlesSettings(WorkerSettings):
    """What the `bundles` stage needs beside what every stage needs."""

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

    @property
    def standards(self) -> Standards:
        """How resources are judged."""
        return Standards(
            level=self.fhir_level,
            level_by_type=self.fhir_level_by_type,
            resource_bytes_max=self.resource_bytes_max,
            elements_max=self.resource_elements_max,
            depth_max=self.resource_depth_max,
            fast=self.fhir_fast,
            audit_one_in=self.fhir_audit_one_in,
            memory_bytes_max=self.fhir_process_bytes_max,
        )

    @property
    def pool_limits(self) -> PoolLimits:
        """How many processes judge them, and how long they may take."""
        return PoolLimits(processes=self.fhir_processes, resource_timeout_s=self.resource_timeout_s)

    @property
    def options(self) -> Options:
        """What the job needs to know."""
        return Options(
            prefix=self.topic_prefix,
            state_types=self.fhir_state_types or topics.FHIR_STATE_TYPES,
            value_bytes_max=min(self.value_bytes_max, self.record_bytes_max - 2**16),
            validator=" ".join(
                [
                    validator_id(),
                    f"content={content_hash.VERSION}",
                    f"subjects={subjects.VERSION}",
                    f"level={self.fhir_level}",
                    f"{sorted(self.fhir_level_by_type.items())}",
                ]
            ),
            limits=SnapshotLimits(resources_max=self.bundle_resources_max),
            grace=Grace(self.removed_after_absences, round(self.removed_after_days * _DAY_MS)),
            brake=Brake(self.removals_share_max, self.removals_held_from, self.removals_window_days),
        )
