"""Every error this package raises on purpose.

A message names the thing, the value and the remedy in one sentence. Faces (command line, REST, page)
show the message as it is; anything that is not a :class:`SadTalkerError` is a defect of ours.
"""


class SadTalkerError(Exception):
    """Base of all errors caused by input, files or the machine."""


class SettingsError(SadTalkerError):
    """A setting is unknown, out of range, or not offered by the chosen engine."""


class MediaError(SadTalkerError):
    """A picture, sound or video cannot be read or written."""


class ContainerError(MediaError):
    """A file names other files or addresses, such as a playlist, or is in a container that is not read."""


class StalledError(MediaError):
    """ffmpeg made no progress for so long that it was stopped."""


class FaceError(SadTalkerError):
    """No usable face, or a face choice that does not exist."""


class WeightsError(SadTalkerError):
    """A checkpoint is missing, truncated, foreign or malformed."""


class EngineError(SadTalkerError):
    """An engine cannot be opened or cannot do what was asked of it."""


class MissingPackageError(SadTalkerError):
    """An optional package or program that this command needs is not installed."""


class Cancelled(SadTalkerError):  # noqa: N818 - a request of the user, not a failure
    """The user stopped the work; nothing half-written is left."""
