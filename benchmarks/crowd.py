"""A crowd of small customers: made at the simulated vendors, and connected without probing each login."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from benchmarks.stage import Simulator
from ingest_assets.app import App
from ingest_assets.sources import BY_NAME
from ingest_assets.sources.source import Source
from ingest_assets.storage.accounts import save_account
from ingest_assets.storage.workspaces import register_workspace

PARALLEL = 8  # orders to the simulator under way


@dataclass(frozen=True)
class Customer:
    """A customer of one vendor, by its workspace's name."""

    found: Callable[[Simulator, str, int], None]
    """Make it, with so many items."""
    more: Callable[[Simulator, str, int], None]
    """Make so many new items."""
    credential: Callable[[str], Mapping[str, str]]
    """What opens it, in the clear."""
    external_id: Callable[[str], str]


def _team(name: str) -> str:
    return f"T{name.upper()}"


def _slack_token(name: str) -> Mapping[str, str]:
    return {"token": f"xoxb-{name}"}


def _found_slack(simulator: Simulator, name: str, items: int) -> None:
    channels = [{"name": "general", "id": f"C{name.upper()}"}]
    world = {"channels": channels, "messages": items, "ends_hours_ago": 1}
    simulator.order("/slack/team", id=_team(name), name=name, users=2, world=world, **_slack_token(name))


def _more_slack(simulator: Simulator, name: str, items: int) -> None:
    said = [{"text": f"news {number}"} for number in range(items)]
    simulator.order("/slack/posts", team=_team(name), channel="general", items=said)


def _gong_key(name: str) -> Mapping[str, str]:
    return {"access_key": f"key-{name}", "access_key_secret": "secret"}


def _found_gong(simulator: Simulator, name: str, items: int) -> None:
    simulator.order("/gong/company", id=name, name=name, users=2, calls=items, sentences=20, **_gong_key(name))


def _more_gong(simulator: Simulator, name: str, items: int) -> None:
    for _ in range(items):
        simulator.order("/gong/call", company=name, hours_ago=0.5)


def _fathom_key(name: str) -> Mapping[str, str]:
    return {"api_key": f"fathom-{name}"}


def _found_fathom(simulator: Simulator, name: str, items: int) -> None:
    simulator.order("/fathom/org", id=name, name=name, meetings=items, **_fathom_key(name))


def _more_fathom(simulator: Simulator, name: str, items: int) -> None:
    for _ in range(items):
        simulator.order("/fathom/meeting", org=name, hours_ago=0.5)


def _mailbox(name: str) -> str:
    return f"team@{name}.example"


def _gmail_login(name: str) -> Mapping[str, str]:
    return {"client_id": "client", "client_secret": "secret", "refresh_token": f"refresh-{name}"}


def _found_gmail(simulator: Simulator, name: str, items: int) -> None:
    simulator.order("/gmail/mailbox", email=_mailbox(name), threads=items, **_gmail_login(name))


def _more_gmail(simulator: Simulator, name: str, items: int) -> None:
    for _ in range(items):
        simulator.order("/gmail/message", mailbox=_mailbox(name), text="news")


CUSTOMERS = {
    "slack": Customer(_found_slack, _more_slack, _slack_token, _team),
    "gong": Customer(_found_gong, _more_gong, _gong_key, str),
    "fathom": Customer(_found_fathom, _more_fathom, _fathom_key, str),
    "gmail": Customer(_found_gmail, _more_gmail, _gmail_login, _mailbox),
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


def found(simulator: Simulator, source: Source, names: Iterable[str], items: int) -> None:
    """Make a customer for each workspace, with so many items."""
    _each(names, lambda name: CUSTOMERS[source.name].found(simulator, name, items))


def more(simulator: Simulator, source: Source, names: Iterable[str], items: int) -> None:
    """Make new items for each."""
    _each(names, lambda name: CUSTOMERS[source.name].more(simulator, name, items))


def _each(names: Iterable[str], what: Callable[[str], None]) -> None:
    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(what, names))


def connect(app: App, source: Source, names: Iterable[str], *, workspace: str | None = None) -> None:
    """Connect the customers, each as a workspace of its own or all as accounts of one."""
    customer = CUSTOMERS[source.name]
    with app.engine.begin() as conn:
        for name in names:
            register_workspace(conn, workspace or name)
            save_account(
                conn,
                {
                    "workspace_id": workspace or name,
                    "source": source.name,
                    "name": name,
                    "external_id": customer.external_id(name),
                    "credential": _stored(app, source, customer.credential(name)),
                    "settings": {},
                },
            )


def _stored(app: App, source: Source, clear: Mapping[str, str]) -> dict[str, Any]:
    secret = source.credential.is_secret
    return {key: app.vault.seal(value) if secret(key) else {"plain": value} for key, value in clear.items()}
