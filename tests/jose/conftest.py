"""Property tests are judged by what they find, not by the clock: other suites share the processor."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
