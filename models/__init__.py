"""The words of the service: settings, errors, models, topics, events. No I/O; it imports none of its neighbours."""
