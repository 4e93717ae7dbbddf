"""The state of a simulator, which the control API shows and changes."""

from __future__ import annotations

from .log import RequestLog
from .options import SimulatorOptions
from .script import Script
from .wire.signature import Verifier


class SimulatorState:
    """The script, the log, the credentials and the profiles that a simulator knows."""

    def __init__(self, options: SimulatorOptions) -> None:
        self.options = options
        self.script = Script(options.script)
        self.log = RequestLog(options.log_file)
        self.verifier = Verifier(options.credentials, options.bearer_tokens)
        self.profiles = dict(options.application_profiles)

    def reset(self) -> None:
        """Goes back to the state at start: its script, its credentials, an empty log."""
        self.script = Script(self.options.script)
        self.verifier.replace(self.options.credentials, self.options.bearer_tokens)
        self.profiles = dict(self.options.application_profiles)
        self.log.reset()
