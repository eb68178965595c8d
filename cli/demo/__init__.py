"""The whole service on this machine, with samples: what a person sees before deciding to use it."""
