"""Everything known of a patient, folded from all topics that speak of one; see `streams.patients.app`."""
