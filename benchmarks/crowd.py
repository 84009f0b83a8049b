"""A crowd of small customers, at the simulated vendors and in our accounts, made without probing each login."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from benchmarks.stage import Simulator
from ingest_assets.app import App
from ingest_assets.sources import BY_NAME
from ingest_assets.sources.base import Source
from ingest_assets.storage import accounts as storage

PARALLEL = 8  # orders to the simulator under way


@dataclass(frozen=True)
class Customer:
    """A customer of one vendor, by its number."""

    join: Callable[[Simulator, str, int], Mapping[str, Any]]
    """(simulator, name, items) -> the credential in the clear"""
    more: Callable[[Simulator, str, int], None]
    """Make so many new items."""
    external_id: Callable[[str], str]
    settings: Mapping[str, Any]


def _team(name: str) -> str:
    return f"T{name.upper()}"


def _join_slack(simulator: Simulator, name: str, items: int) -> Mapping[str, Any]:
    token = f"xoxb-{name}"
    channels = [{"name": "general", "id": f"C{name.upper()}"}]
    world = {"channels": channels, "messages": items, "ends_hours_ago": 1}
    simulator.order("/slack/team", id=_team(name), token=token, name=name, users=2, world=world)
    return {"token": token}


def _more_slack(simulator: Simulator, name: str, items: int) -> None:
    said = [{"text": f"news {number}"} for number in range(items)]
    simulator.order("/slack/posts", team=_team(name), channel="general", items=said)


def _join_gong(simulator: Simulator, name: str, items: int) -> Mapping[str, Any]:
    key = {"access_key": f"key-{name}", "access_key_secret": "secret"}
    simulator.order("/gong/company", id=name, name=name, users=2, calls=items, sentences=20, **key)
    return key


def _more_gong(simulator: Simulator, name: str, items: int) -> None:
    for _ in range(items):
        simulator.order("/gong/call", company=name, hours_ago=0.5)


def _join_fathom(simulator: Simulator, name: str, items: int) -> Mapping[str, Any]:
    key = f"fathom-{name}"
    simulator.order("/fathom/org", id=name, api_key=key, name=name, meetings=items)
    return {"api_key": key}


def _more_fathom(simulator: Simulator, name: str, items: int) -> None:
    for _ in range(items):
        simulator.order("/fathom/meeting", org=name, hours_ago=0.5)


def _mailbox(name: str) -> str:
    return f"team@{name}.example"


def _join_gmail(simulator: Simulator, name: str, items: int) -> Mapping[str, Any]:
    login = {"refresh_token": f"refresh-{name}", "client_secret": "secret"}
    simulator.order("/gmail/mailbox", email=_mailbox(name), threads=items, **login)
    return {"client_id": "client", **login}


def _more_gmail(simulator: Simulator, name: str, items: int) -> None:
    for _ in range(items):
        simulator.order("/gmail/message", mailbox=_mailbox(name), text="news")


CUSTOMERS = {
    "slack": Customer(_join_slack, _more_slack, _team, {}),
    "gong": Customer(_join_gong, _more_gong, str, {}),
    "fathom": Customer(_join_fathom, _more_fathom, str, {}),
    "gmail": Customer(_join_gmail, _more_gmail, _mailbox, {}),
}


def environ(simulator: Simulator) -> dict[str, str]:
    """Point all sources at the simulator, without the pauses that keep us under the vendors' limits."""
    return {
        "SLACK_API_URL": f"{simulator.url}/slack/api/",
        "GONG_API_URL": f"{simulator.url}/gong/us-1",
        "GONG_ALLOWED_HOSTS": "127.0.0.1",
        "FATHOM_API_URL": f"{simulator.url}/fathom/external/v1",
        "GMAIL_API_URL": f"{simulator.url}/gmail/",
        "GOOGLE_TOKEN_URL": f"{simulator.url}/gmail/token",
        **{f"{name.upper()}_PACING": "false" for name in BY_NAME},
    }


def join(app: App, simulator: Simulator, source: Source, names: Iterable[str], items: int) -> None:
    """Make a customer for each workspace and connect it."""
    customer = CUSTOMERS[source.name]
    secret = source.credential.is_secret

    def one(name: str) -> dict[str, Any]:
        clear = customer.join(simulator, name, items)
        sealed = {key: app.vault.seal(value) if secret(key) else {"plain": value} for key, value in clear.items()}
        return {
            "workspace_id": name,
            "source": source.name,
            "name": name,
            "external_id": customer.external_id(name),
            "credential": sealed,
            "settings": dict(customer.settings),
        }

    with ThreadPoolExecutor(PARALLEL) as pool, app.engine.begin() as conn:
        for row in pool.map(one, names):
            storage.register_workspace(conn, row["workspace_id"])
            storage.save_account(conn, row)


def more(simulator: Simulator, source: Source, names: Iterable[str], items: int) -> None:
    """Make new items for each."""
    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(lambda name: CUSTOMERS[source.name].more(simulator, name, items), names))
