"""Where the simulated Gong answers: a region stands for a customer's host."""

from starlette.routing import Route

from ingest_simulator.gong.api import GongApi
from ingest_simulator.gong.tokens import TokenApi
from ingest_simulator.state import Simulator


def routes(simulator: Simulator) -> list[Route]:
    return [
        Route("/gong/oauth2/generate-customer-token", TokenApi(simulator)),
        Route("/gong/{region}/v2/{path:path}", GongApi(simulator)),
    ]
