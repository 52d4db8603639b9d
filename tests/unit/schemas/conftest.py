"""Property tests of this folder are never judged by the clock of the machine they run on."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
