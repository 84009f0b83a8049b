"""Seeded conversations, and seeded life in a mailbox."""

import random
from collections import Counter
from collections.abc import Sequence

from ingest_assets.simulator.gmail.mailbox import Mailbox
from ingest_assets.simulator.gmail.mime import Letter, write

CUSTOMERS = ("ann@acme.example", "li@globex.example", "sven@umbra.example", "rosa@kestrel.example")
SUBJECTS = ("Renewal", "Seats for the new team", "Export question", "Invoice 2291", "Security review", "Kickoff")
LINES = (
    "Thanks for the call, here is what we agreed on.",
    "Could you confirm the price for eighty seats?",
    "Our security team has three more questions.",
    "The export still cuts off after ten thousand rows.",
    "We would like to start in the second week of March.",
    "I am adding Rosa, who will run the pilot on our side.",
)
FILE = {"filename": "quote.pdf", "size": 52_311}
UNKNOWN_LABEL = "Label_8191"
UNKNOWN_SHARE = 0.02
BETWEEN = 600  # seconds between the messages of a thread
SHORT = 200  # bytes of a message that life brings
ACTIONS = {"thread": 28, "reply": 35, "label": 20, "trash": 10, "delete": 5, "draft": 2}  # in hundredths


def seed_thread(mailbox: Mailbox, moment: float, messages: int, body_bytes: int, labels: Sequence[str]) -> str:
    """A conversation that ends at a moment."""
    rng = mailbox.rng
    customer, subject = rng.choice(CUSTOMERS), rng.choice(SUBJECTS)
    thread_id: str | None = None
    for place in range(messages):
        ours = place % 2 == 1
        sender, to = (mailbox.email, customer) if ours else (customer, mailbox.email)
        letter = seeded_letter(rng, sender, to, f"Re: {subject}" if place else subject, body_bytes)
        shown = ["SENT"] if ours else [*labels]
        if rng.random() < UNKNOWN_SHARE:
            shown.append(UNKNOWN_LABEL)
        at = moment - (messages - 1 - place) * BETWEEN
        thread_id = write(mailbox, letter, at, thread_id=thread_id, labels=shown).thread_id
    if thread_id is None:
        raise ValueError("a thread has at least one message")
    return thread_id


def seeded_letter(rng: random.Random, sender: str, to: str, subject: str, body_bytes: int) -> Letter:
    """A message: mostly plain text, and a share of everything that mail can be."""
    lines: list[str] = []
    while sum(map(len, lines)) < body_bytes:
        lines.append(rng.choice(LINES))
    text = "\n".join(lines)
    page = f"<div><p>{text}</p><br>Best</div>"
    quoted = f"{text}\n\nOn Monday {to} wrote:\n> {rng.choice(LINES)}\n> and so on"
    shares = (
        (6, Letter(sender, to, subject, html=page)),
        (2, Letter(sender, to, subject, f"{text}\nGrüße aus Köln", charset="iso-8859-1")),
        (2, Letter(sender, to, subject, f"{text}\nС уважением", charset="koi8-r")),
        (2, Letter(sender, to, subject, text, attachments=(FILE,))),
        (1, Letter(sender, to, subject, text, page, attachments=(FILE,))),
        (3, Letter(sender, to, subject, quoted)),
        (14, Letter(sender, to, subject, text, page)),
        (70, Letter(sender, to, subject, text)),
    )
    return rng.choices([letter for _, letter in shares], [share for share, _ in shares])[0]


def live(box: Mailbox, seed: int, steps: int, now: float) -> Counter[str]:
    """Let things happen; the same seed in the same mailbox brings the same."""
    rng = random.Random(f"{box.email}/{seed}")  # noqa: S311 - repeatable on purpose
    done: Counter[str] = Counter(dict.fromkeys(ACTIONS, 0))
    for _ in range(steps):
        action = rng.choices(list(ACTIONS), list(ACTIONS.values()))[0] if box.threads else "thread"
        done[action] += 1
        thread_id = rng.choice(list(box.threads)) if box.threads else ""
        if action == "thread":
            seed_thread(box, now, 1, SHORT, ["INBOX", "UNREAD"])
        elif action == "reply":
            letter = seeded_letter(rng, CUSTOMERS[0], box.email, "Re: Renewal", SHORT)
            write(box, letter, now, thread_id=thread_id, labels=["INBOX", "UNREAD"])
        elif action == "draft":
            write(box, Letter(box.email, CUSTOMERS[0], "Draft", "Not"), now, thread_id=thread_id, labels=["DRAFT"])
        elif action == "delete":
            box.delete(box.threads[thread_id][-1])
        else:
            fresh, stale = ("TRASH", "INBOX") if action == "trash" else ("STARRED", "UNREAD")
            box.relabel(box.threads[thread_id][-1], {fresh}, {stale})
    return done
