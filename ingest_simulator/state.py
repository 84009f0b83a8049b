"""Everything one running simulator knows."""

from dataclasses import dataclass, field, fields

from ingest_simulator.clock import Clock
from ingest_simulator.consent import Consents
from ingest_simulator.fathom.world import FathomWorld
from ingest_simulator.faults import Faults
from ingest_simulator.gmail.world import GmailWorld
from ingest_simulator.gong.world import GongWorld
from ingest_simulator.language_model.world import ModelWorld
from ingest_simulator.ledger import Ledger
from ingest_simulator.slack.world import SlackWorld

KEPT = {"clock", "faults", "ledger"}  # others hold them, so they start over themselves


@dataclass(slots=True)
class Simulator:
    """The clock, the script of faults, the ledger, and one world per vendor."""

    clock: Clock = field(default_factory=Clock)
    faults: Faults = field(default_factory=Faults)
    ledger: Ledger = field(default_factory=Ledger)
    slack: SlackWorld = field(default_factory=SlackWorld)
    gong: GongWorld = field(default_factory=GongWorld)
    gmail: GmailWorld = field(default_factory=GmailWorld)
    fathom: FathomWorld = field(default_factory=FathomWorld)
    language_model: ModelWorld = field(default_factory=ModelWorld)
    consents: Consents = field(default_factory=Consents)
    latency: float = 0.0  # seconds added to every vendor request

    def reset(self) -> None:
        """Start over, as if the process had just begun."""
        self.clock.reset()
        self.faults.clear()
        self.ledger.reset()
        fresh = Simulator()
        for part in fields(self):
            if part.name not in KEPT:
                setattr(self, part.name, getattr(fresh, part.name))
