"""The links stage: fetches what the links in a delivery point at, before they die."""
