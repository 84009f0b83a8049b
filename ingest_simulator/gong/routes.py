"""Where the simulated Gong answers: a region stands for a customer's host."""

from starlette.routing import Route

from ingest_simulator.authorize import AuthorizePage
from ingest_simulator.gong.api import GongApi
from ingest_simulator.gong.tokens import VENDOR, TokenApi
from ingest_simulator.state import Simulator


def routes(simulator: Simulator) -> list[Route]:
    def knows(client_id: str) -> bool:
        return simulator.gong.app(client_id) is not None

    return [
        Route("/gong/oauth2/authorize", AuthorizePage(simulator, VENDOR, knows)),
        Route("/gong/oauth2/generate-customer-token", TokenApi(simulator)),
        Route("/gong/{region}/v2/{path:path}", GongApi(simulator)),
    ]
