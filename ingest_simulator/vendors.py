"""The simulated vendors: what each serves, and the orders that shape its world. A new one is a line here."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.routing import Route

from ingest_simulator.fathom import api as fathom
from ingest_simulator.fathom import control as fathom_control
from ingest_simulator.gmail import api as gmail
from ingest_simulator.gmail import control as gmail_control
from ingest_simulator.gong import control as gong_control
from ingest_simulator.gong import routes as gong
from ingest_simulator.language_model import api as language_model
from ingest_simulator.language_model import control as language_model_control
from ingest_simulator.slack import api as slack
from ingest_simulator.slack import control as slack_control
from ingest_simulator.state import Simulator


@dataclass(frozen=True)
class Vendor:
    """One vendor: its world is a field of `Simulator`."""

    name: str
    """In its addresses, in the ledger and in faults."""
    routes: Callable[[Simulator], list[Route]]
    orders: Callable[[Simulator], list[Route]]
    """Under /_sim."""


VENDORS = (
    Vendor("slack", slack.routes, slack_control.routes),
    Vendor("gong", gong.routes, gong_control.routes),
    Vendor("fathom", fathom.routes, fathom_control.routes),
    Vendor("gmail", gmail.routes, gmail_control.routes),
    Vendor("openai", language_model.routes, language_model_control.routes),
)
NAMES = [vendor.name for vendor in VENDORS]
