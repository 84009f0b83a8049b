"""The control plane's Gmail part: mailboxes, mail, labels, logins, and a bit of life."""

import random
from collections import Counter
from typing import Annotated, Any

from pydantic import Field
from starlette.routing import Route

from ingest_simulator.errors import OrderError
from ingest_simulator.gmail.world import (
    READONLY,
    SYSTEM_LABELS,
    Login,
    Mail,
    Mailbox,
    ServiceAccount,
    Settings,
)
from ingest_simulator.gmail.writing import Letter, seed_thread, seeded_letter, write
from ingest_simulator.orders import Order, order
from ingest_simulator.state import Simulator
from ingest_simulator.wire import Json

Count = Annotated[int, Field(ge=0)]
HOUR = 3600.0
ACTIONS = {"thread": 30, "reply": 35, "label": 20, "trash": 10, "delete": 5}  # in hundredths


class AddMailbox(Order):
    """A mailbox, a login to it, and seeded threads."""

    email: str
    refresh_token: str | None = None
    client_id: str = "client"
    client_secret: str = "secret"  # noqa: S105 - of a simulated client
    scopes: tuple[str, ...] = (READONLY,)
    seed: int = 0
    threads: Count = 0
    messages: Annotated[int, Field(ge=1)] = 1
    span_hours: Annotated[float, Field(gt=0)] = 240.0
    ends_hours_ago: Annotated[float, Field(ge=0)] = 1.0
    labels: tuple[str, ...] = ("Customers",)
    thread_labels: tuple[str, ...] = ("INBOX",)
    body_bytes: Count = 400
    enforce_limits: bool = False
    units_per_minute: Annotated[int, Field(ge=1)] = 6000
    quota_status: int = 403
    enabled: bool = True
    page_cap: Annotated[int, Field(ge=1)] = 500


class AddServiceAccount(Order):
    """A service account and what it may do."""

    client_email: str
    public_key: str
    scopes: tuple[str, ...] = (READONLY,)
    subjects: tuple[str, ...] = ()
    unauthorized: tuple[str, ...] = ()


class OneMailbox(Order):
    """Which mailbox."""

    mailbox: str


class AddMessage(OneMailbox):
    """A message, in a thread or beginning one."""

    thread: str | None = None
    labels: tuple[str, ...] = ("INBOX",)
    sender: str = "ann@acme.example"
    to: str = "team@vendor.example"
    subject: str = "Hello"
    text: str | None = None
    html: str | None = None
    charset: str = "utf-8"
    attachments: list[Json] = Field(default_factory=list)
    body_as_attachment: bool = False
    hours_ago: float = 0.0
    headers: dict[str, str] = Field(default_factory=dict)
    size_bytes: int | None = None
    payload: Json | None = None
    raw: Json = Field(default_factory=dict)


class Chosen(OneMailbox):
    """A thread or one message."""

    thread: str | None = None
    message: str | None = None


class Relabel(Chosen):
    """Labels to add and to remove, by id or name."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


class AddDraft(OneMailbox):
    """A draft."""

    subject: str = "Draft"
    text: str = "Not sent yet"


class AddLabel(OneMailbox):
    """A label."""

    name: str


class DeleteLabel(OneMailbox):
    """A label to delete, by id or name."""

    label: str


class SetCredential(OneMailbox):
    """A change to a mailbox's logins."""

    revoked: bool | None = None
    scopes: tuple[str, ...] | None = None
    tells_expiry: bool | None = None


class Replace(OneMailbox):
    """What threads.get answers, or threads.list shows, instead; null for the thread as it is."""

    thread: str
    payload: Any = None
    listed: bool = False


class AddHistory(OneMailbox):
    """An entry of the history, word for word."""

    entry: Any


class Expire(OneMailbox):
    """No history is told any more."""

    but_the_last: bool = False
    """Whether that from the mailbox's own historyId on still is."""


class Change(OneMailbox):
    """Other settings."""

    enforce_limits: bool | None = None
    units_per_minute: int | None = None
    quota_status: int | None = None
    enabled: bool | None = None
    page_cap: Annotated[int, Field(ge=1)] | None = None
    lists_late: bool | None = None
    """Whether listings stand still, as they do for some seconds, while the mailbox itself goes on."""


class Live(OneMailbox):
    """Some steps of seeded life."""

    seed: int = 0
    steps: Count = 10


def routes(simulator: Simulator) -> list[Route]:
    """Every route under /_sim/gmail."""
    return [
        order(simulator, "/gmail/mailbox", AddMailbox, _add_mailbox),
        order(simulator, "/gmail/service_account", AddServiceAccount, _add_service_account),
        order(simulator, "/gmail/message", AddMessage, _add_message),
        order(simulator, "/gmail/labels", Relabel, _relabel),
        order(simulator, "/gmail/trash", Chosen, _trash),
        order(simulator, "/gmail/delete", Chosen, _delete),
        order(simulator, "/gmail/restore", OneMailbox, _restore),
        order(simulator, "/gmail/draft", AddDraft, _draft),
        order(simulator, "/gmail/label", AddLabel, _add_label),
        order(simulator, "/gmail/delete_label", DeleteLabel, _delete_label),
        order(simulator, "/gmail/expire_history", Expire, _expire_history),
        order(simulator, "/gmail/credential", SetCredential, _set_credential),
        order(simulator, "/gmail/raw", Replace, _replace),
        order(simulator, "/gmail/history", AddHistory, _add_history),
        order(simulator, "/gmail/settings", Change, _change),
        order(simulator, "/gmail/life", Live, _live),
        order(simulator, "/gmail/state", OneMailbox, _state, method="GET"),
    ]


def _add_mailbox(simulator: Simulator, wanted: AddMailbox) -> Json:
    world, now = simulator.gmail, simulator.clock.now()
    if wanted.email in world.mailboxes:
        raise OrderError(f"there is a mailbox {wanted.email} already")
    rng = random.Random(f"{wanted.seed}/{wanted.email}")  # noqa: S311 - repeatable on purpose
    settings = Settings(
        **wanted.model_dump(include={"enforce_limits", "units_per_minute", "quota_status", "enabled", "page_cap"})
    )
    box = Mailbox(wanted.email, rng, settings, history_id=900_000)
    box.labels = {name: name for name in SYSTEM_LABELS}
    for name in wanted.labels:
        box.add_label(name)
    world.mailboxes[wanted.email] = box
    if wanted.refresh_token is not None:
        world.logins[wanted.refresh_token] = Login(
            wanted.email, wanted.client_id, wanted.client_secret, wanted.scopes
        )
    end, span = now - wanted.ends_hours_ago * HOUR, wanted.span_hours * HOUR
    step = span / max(1, wanted.threads)
    threads = [
        seed_thread(
            box, end - span + (place + 0.9) * step, wanted.messages, wanted.body_bytes, wanted.thread_labels
        )
        for place in range(wanted.threads)
    ]
    names = {name: label_id for label_id, name in box.labels.items()}
    return {"mailbox": box.email, "threads": threads, "labels": names, "history_id": str(box.history_id)}


def _add_service_account(simulator: Simulator, wanted: AddServiceAccount) -> Json:
    simulator.gmail.service_accounts[wanted.client_email] = ServiceAccount(
        wanted.client_email,
        wanted.public_key,
        frozenset(wanted.scopes),
        frozenset(wanted.subjects),
        frozenset(wanted.unauthorized),
    )
    return {"client_email": wanted.client_email}


def _add_message(simulator: Simulator, wanted: AddMessage) -> Json:
    box = simulator.gmail.mailbox(wanted.mailbox)
    if wanted.thread is not None and wanted.thread not in box.threads:
        raise OrderError(f"mailbox {box.email} has no thread {wanted.thread}")
    text = "Hello there" if wanted.text is None and wanted.html is None else wanted.text
    letter = Letter(
        **wanted.model_dump(
            include={"sender", "to", "subject", "html", "charset", "attachments", "body_as_attachment", "headers"}
        ),
        text=text,
    )
    moment = simulator.clock.now() - wanted.hours_ago * HOUR
    mail = write(box, letter, moment, thread_id=wanted.thread, labels=wanted.labels)
    if wanted.size_bytes is not None:
        mail.size = wanted.size_bytes
    if wanted.payload is not None:
        mail.payload = wanted.payload
    mail.raw = wanted.raw
    return {"message": mail.id, "thread": mail.thread_id}


def _relabel(simulator: Simulator, wanted: Relabel) -> Json:
    box = simulator.gmail.mailbox(wanted.mailbox)
    for mail in box.find(wanted.thread, wanted.message):
        _label(box, mail, [box.label_id(one) for one in wanted.add], [box.label_id(one) for one in wanted.remove])
    return {"mailbox": box.email}


def _label(box: Mailbox, mail: Mail, add: list[str], remove: list[str]) -> None:
    if fresh := sorted(set(add) - mail.labels):
        mail.labels |= set(fresh)
        box.note("labelsAdded", mail, fresh)
    if stale := sorted(set(remove) & mail.labels):
        mail.labels -= set(stale)
        box.note("labelsRemoved", mail, stale)


def _trash(simulator: Simulator, wanted: Chosen) -> Json:
    box = simulator.gmail.mailbox(wanted.mailbox)
    for mail in box.find(wanted.thread, wanted.message):
        _label(box, mail, ["TRASH"], ["INBOX"])
    return {"mailbox": box.email}


def _delete(simulator: Simulator, wanted: Chosen) -> Json:
    box = simulator.gmail.mailbox(wanted.mailbox)
    for mail in box.find(wanted.thread, wanted.message):
        box.delete(mail)
    return {"mailbox": box.email}


def _restore(simulator: Simulator, wanted: OneMailbox) -> Json:
    box = simulator.gmail.mailbox(wanted.mailbox)
    while box.deleted:
        box.add(box.deleted.pop(0))
    return {"mailbox": box.email}


def _draft(simulator: Simulator, wanted: AddDraft) -> Json:
    box = simulator.gmail.mailbox(wanted.mailbox)
    letter = Letter(box.email, "nobody@example.com", wanted.subject, wanted.text)
    mail = write(box, letter, simulator.clock.now(), thread_id=None, labels=["DRAFT"])
    return {"message": mail.id, "thread": mail.thread_id}


def _add_label(simulator: Simulator, wanted: AddLabel) -> Json:
    box = simulator.gmail.mailbox(wanted.mailbox)
    return {"label": box.add_label(wanted.name)}


def _delete_label(simulator: Simulator, wanted: DeleteLabel) -> Json:
    """As labels.delete has it: the label goes, and is removed from all messages that have it."""
    box = simulator.gmail.mailbox(wanted.mailbox)
    label_id = box.label_id(wanted.label)
    if box.labels.pop(label_id, None) is None:
        raise OrderError(f"mailbox {box.email} has no label {wanted.label}")
    for mail in box.mail.values():
        _label(box, mail, [], [label_id])
    return {"label": label_id}


def _expire_history(simulator: Simulator, wanted: Expire) -> Json:
    box = simulator.gmail.mailbox(wanted.mailbox)
    box.oldest_history = box.history_id if wanted.but_the_last else box.next_history()
    return {"mailbox": box.email, "history_id": str(box.history_id)}


def _set_credential(simulator: Simulator, wanted: SetCredential) -> Json:
    world = simulator.gmail
    for login in world.logins.values():
        if login.email == wanted.mailbox:
            login.revoked = login.revoked if wanted.revoked is None else wanted.revoked
            login.scopes = login.scopes if wanted.scopes is None else wanted.scopes
            login.tells_expiry = login.tells_expiry if wanted.tells_expiry is None else wanted.tells_expiry
    if wanted.scopes is not None:
        for access in world.tokens.values():
            access.scopes = wanted.scopes if access.email == wanted.mailbox else access.scopes
    return {"mailbox": wanted.mailbox}


def _replace(simulator: Simulator, wanted: Replace) -> Json:
    box = simulator.gmail.mailbox(wanted.mailbox)
    instead = box.relisted if wanted.listed else box.replaced
    if wanted.payload is None:
        instead.pop(wanted.thread, None)
    else:
        instead[wanted.thread] = wanted.payload
    for mail in box.find(wanted.thread, None):
        box.note("labelsAdded", mail, ["UNREAD"])
    return {"thread": wanted.thread}


def _add_history(simulator: Simulator, wanted: AddHistory) -> Json:
    box = simulator.gmail.mailbox(wanted.mailbox)
    box.note_raw(wanted.entry)
    return {"history_id": str(box.history_id)}


def _change(simulator: Simulator, wanted: Change) -> Json:
    box = simulator.gmail.mailbox(wanted.mailbox)
    for name, value in wanted.model_dump(exclude={"mailbox", "lists_late"}, exclude_none=True).items():
        setattr(box.settings, name, value)
    if wanted.lists_late is not None:
        box.settings.listed_to = box.history_id if wanted.lists_late else None
    return {"mailbox": box.email}


def _live(simulator: Simulator, wanted: Live) -> Json:
    box, now = simulator.gmail.mailbox(wanted.mailbox), simulator.clock.now()
    rng = random.Random(f"{box.email}/{wanted.seed}")  # noqa: S311 - repeatable on purpose
    done: Counter[str] = Counter(dict.fromkeys(ACTIONS, 0))
    for _ in range(wanted.steps):
        action = rng.choices(list(ACTIONS), list(ACTIONS.values()))[0]
        threads = list(box.threads)
        if action == "thread" or not threads:
            seed_thread(box, now, 1, 200, ["INBOX"])
            done["thread"] += 1
            continue
        thread_id = rng.choice(threads)
        mail = box.messages_of(thread_id)[-1]
        if action == "reply":
            letter = seeded_letter(rng, "ann@acme.example", box.email, "Re: Renewal", 200)
            write(box, letter, now, thread_id=thread_id, labels=["INBOX"])
        elif action == "label":
            _label(box, mail, ["STARRED"], ["UNREAD"])
        elif action == "trash":
            _label(box, mail, ["TRASH"], ["INBOX"])
        else:
            box.delete(mail)
        done[action] += 1
    return dict(done)


def _state(simulator: Simulator, wanted: OneMailbox) -> Json:
    box = simulator.gmail.mailbox(wanted.mailbox)
    return {
        "mailbox": box.email,
        "history_id": str(box.history_id),
        "units": box.units,
        "threads": [
            {
                "id": thread_id,
                "messages": [
                    {"id": mail.id, "labels": sorted(mail.labels), "history_id": str(mail.history_id)}
                    for mail in box.messages_of(thread_id)
                ],
            }
            for thread_id in box.threads
        ],
    }
