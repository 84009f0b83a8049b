"""How the control plane is spoken to: checked JSON in, JSON out, a sentence when an order makes no sense."""

from collections.abc import Callable
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ingest_simulator.errors import OrderError
from ingest_simulator.state import Simulator

PREFIX = "/_sim"


class Order(BaseModel):
    """The fields an order may have; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Nothing(Order):
    """An order without fields."""


AnOrder = TypeVar("AnOrder", bound=Order)


def order(
    simulator: Simulator,
    path: str,
    fields: type[AnOrder],
    obey: Callable[[Simulator, AnOrder], Any],
    *,
    method: str = "POST",
) -> Route:
    """Return a route that checks an order, obeys it and answers with what came of it."""

    async def endpoint(request: Request) -> Response:
        try:
            given = dict(request.query_params)
            if body := await request.body():
                document = orjson.loads(body)
                if not isinstance(document, dict):
                    return _refusal("the body must be a JSON object")
                given |= document
            return _json(obey(simulator, fields.model_validate(given)))
        except orjson.JSONDecodeError as error:
            return _refusal(f"the body is not JSON: {error}")
        except ValidationError as error:
            problems = error.errors()
            return _refusal("; ".join(_sentence(problem["loc"], problem["msg"]) for problem in problems))
        except OrderError as error:
            return _refusal(str(error))

    return Route(PREFIX + path, endpoint, methods=[method])


def _sentence(place: tuple[int | str, ...], message: str) -> str:
    where = ".".join(map(str, place))
    return f"{where}: {message}" if where else message


def _json(document: object, status: int = 200) -> Response:
    return Response(orjson.dumps(document), status, media_type="application/json")


def _refusal(sentence: str) -> Response:
    return _json({"error": sentence}, 400)
