"""The control plane's part for the language model: keys, scripted answers, invented quotes."""

from typing import Annotated, Any

from pydantic import Field
from starlette.routing import Route

from ingest_simulator.errors import OrderError
from ingest_simulator.language_model.dialects import DIALECTS
from ingest_simulator.language_model.world import AS_COUNTED, Saying, Tenant
from ingest_simulator.orders import Order, order
from ingest_simulator.state import Simulator
from ingest_simulator.wire import Json

Count = Annotated[int, Field(ge=0)]


class SetKey(Order):
    """A key, or other settings of one."""

    key: str
    model: str = "gpt-test"
    context_tokens: Annotated[int, Field(ge=1)] = 128_000
    knows_schemas: bool = True
    revoked: bool = False
    minute_tokens: Count = 0
    batch_seconds: Annotated[float, Field(ge=0)] = 0.0
    expiring: Count = 0
    dialect: str = "openai"


class Say(Order):
    """What the next answers are, after some like any other."""

    key: str
    content: Any = None
    finish_reason: str | None = "stop"
    refusal: str | None = None
    usage: Any = AS_COUNTED
    document: Any = None
    times: Count = 1
    skip: Count = 0


class Invent(Order):
    """How many of the next answers quote what nobody said."""

    key: str
    times: Count = 1


def routes(simulator: Simulator) -> list[Route]:
    """Every route under /_sim/openai."""
    return [
        order(simulator, "/openai/key", SetKey, _set_key),
        order(simulator, "/openai/say", Say, _say),
        order(simulator, "/openai/invent", Invent, _invent),
    ]


def _set_key(simulator: Simulator, wanted: SetKey) -> Json:
    tenants = simulator.language_model.tenants
    tenant = tenants.get(wanted.key) or Tenant(f"org-{len(tenants) + 1}", "", 0, knows_schemas=True, revoked=False)
    tenant.model, tenant.context_tokens = wanted.model, wanted.context_tokens
    tenant.knows_schemas, tenant.revoked = wanted.knows_schemas, wanted.revoked
    tenant.minute_tokens = wanted.minute_tokens
    tenant.batch_seconds, tenant.expiring = wanted.batch_seconds, wanted.expiring
    if wanted.dialect not in DIALECTS:
        raise OrderError(f"there is no dialect {wanted.dialect}: know {', '.join(DIALECTS)}")
    tenant.dialect = wanted.dialect
    tenants[wanted.key] = tenant
    return {"tenant": tenant.id}


def _say(simulator: Simulator, wanted: Say) -> Json:
    sayings = simulator.language_model.tenant(wanted.key).sayings
    sayings.extend([None] * wanted.skip)
    saying = Saying(wanted.content, wanted.finish_reason, wanted.refusal, wanted.usage, wanted.document)
    sayings.extend([saying] * wanted.times)
    return {"waiting": len(sayings)}


def _invent(simulator: Simulator, wanted: Invent) -> Json:
    simulator.language_model.tenant(wanted.key).inventions = wanted.times
    return {"times": wanted.times}
