"""The Batch API: what is to be asked goes as one file, the answers come within a day, at a discount.

A batch only brings answers nearer: a later run reads conversations the same way as ever, and takes an answer from
the batch where it has one. What expired is asked in the next batch; corrections and halves are asked directly.
"""

import json
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar
from uuid import uuid4

from openai import DefaultHttpxClient, NotFoundError, OpenAI, OpenAIError
from sqlalchemy import Engine

from ingest_assets.features.answer import FILTERED, Asked, NoAnswer, Rejected, Usage, read
from ingest_assets.features.client import TOO_LONG, TRIES, Failed, LanguageModel, ModelStopped, TooLong
from ingest_assets.features.model import digest
from ingest_assets.features.refusals import Meaning, Refusal
from ingest_assets.features.settings import ModelSettings
from ingest_assets.sources.json_values import Json, JsonView
from ingest_assets.sources.rejected import UNPARSEABLE
from ingest_assets.storage.model_requests import close_batches, live_batches, name_batch, open_batch

T = TypeVar("T")
OK = 200
ENDED = {"completed", "failed", "expired", "cancelled"}
WINDOW: Final = "24h"
COMPLETIONS: Final = "/v1/chat/completions"
LISTED = 100  # the newest batches, in which one is looked for that was submitted as we died
MARK = "ingest_assets"
LOOKED_AT, LOOK_SECONDS = 10, 5  # batches looked at a time, and for how long each: a sensor has a minute


def name_of(messages: Sequence[JsonView]) -> str:
    """Return a request's name, which says what it asks: its custom_id."""
    return digest(json.dumps(messages))


Answer = Json | TooLong | Rejected | None
"""What a batch says to a request. None: a refusal, whose reason a direct request tells."""


def answer_of(line: str) -> tuple[str, Answer] | None:
    """Read a line of a batch's file: (custom_id, answer). None where the next batch asks again."""
    try:
        entry = json.loads(line)
        name, status, body = entry["custom_id"], entry["response"]["status_code"], entry["response"]["body"]
        if status == OK:
            return name, body if _is_completion(body) else None
        refusal = Refusal.of(status, {"error": body["error"]})
    except UNPARSEABLE:
        return None
    if refusal.meaning in {Meaning.TROUBLE, Meaning.TOO_OFTEN}:
        return None
    if refusal.meaning is Meaning.TOO_LONG:
        return name, TooLong(TOO_LONG)
    return name, Rejected(FILTERED, Usage()) if refusal.meaning is Meaning.FILTERED else None


def _is_completion(body: object) -> bool:
    try:
        read(body, Asked(0, 0))
    except Rejected:
        return True
    except NoAnswer:
        return False
    return True


class Answered(LanguageModel):
    """A model of which some answers are there already."""

    def __init__(self, model: LanguageModel, answers: dict[str, Answer]) -> None:
        self._model, self._answers = model, answers

    def holds(self, messages: Sequence[Json]) -> bool:
        return self._answers.get(name_of(messages)) is not None

    async def ask(
        self, messages: list[Json], failed: Failed | None = None, *, tries: int = TRIES
    ) -> tuple[str, Usage]:
        answer = self._answers.pop(name_of(messages), None)
        if answer is None:
            return await self._model.ask(messages, failed, tries=tries)
        if isinstance(answer, dict):
            return read(answer, Asked.of(messages), batched=True)
        raise answer


class Batches:
    """The batches of a workspace's conversations at one source."""

    def __init__(self, model: LanguageModel, engine: Engine, workspace_id: str, source: str) -> None:
        self.model, self.engine = model, engine
        self.place = {"workspace_id": workspace_id, "source": source}
        self.answers: dict[str, Answer] = {}
        """By custom_id."""
        self.under_way: set[str] = set()
        """Conversations that a batch is reading."""
        self.estimated = Usage()
        self.any = False
        """Whether there was any to look at."""
        self._ended: list[str] = []

    async def collect(self) -> None:
        """Fetch the answers of all batches that have ended. Raises what `LanguageModel.ask` raises."""
        with self.engine.connect() as conn:
            rows = live_batches(conn, **self.place)
        self.any = bool(rows)
        for row in rows:
            batch_id = row.batch_id or await self._found(row.batch_key)
            if batch_id is None:
                self._close([row.batch_key])
                continue
            batch = await self._known(partial(self.model.client.batches.retrieve, batch_id))
            if batch is None:
                self._close([row.batch_key])
                continue
            if _status(batch) not in ENDED:
                self.under_way |= set(row.conversations)
                self.estimated += Usage(row.input_tokens, row.output_tokens)
                continue
            for name in ("output_file_id", "error_file_id"):
                if isinstance(file_id := getattr(batch, name, None), str) and file_id:
                    await self._fetch(file_id)
            if _status(batch) == "failed":
                self._close([row.batch_key])
                raise ModelStopped("The language model refuses our batch; look at it in its console.")
            self._ended.append(row.batch_key)

    async def _fetch(self, file_id: str) -> None:
        content = await self._known(partial(self.model.client.files.content, file_id))
        # not splitlines(): a text may hold other ends of lines, U+2028 say
        for line in () if content is None else content.text.split("\n"):
            if found := answer_of(line):
                self.answers.update([found])

    async def _known(self, call: Callable[[], Awaitable[T]]) -> T | None:
        """Make a call; None where the API knows the thing no more: it expired, or belongs to another key."""

        async def found() -> T | None:
            try:
                return await call()
            except NotFoundError as error:
                if error.type is None:  # not the API's words: the address is wrong
                    raise
                return None

        return await self.model.patiently(found)

    async def _found(self, batch_key: str) -> str | None:
        """Look for a batch whose id we did not live to store, and store it."""

        async def newest() -> list[Any]:
            page = await self.model.client.batches.list(limit=LISTED)
            return page.data or []

        found = await self.model.patiently(newest)
        batch_id = next((_id(one) for one in found if _mark(one) == batch_key), None)
        if batch_id is not None:
            with self.engine.begin() as conn:
                name_batch(conn, batch_key, batch_id)
        return batch_id

    def close(self) -> None:
        """Note that all answers that came are stored."""
        self._close(self._ended)

    def _close(self, keys: Sequence[str]) -> None:
        with self.engine.begin() as conn:
            close_batches(conn, keys)

    def _line(self, messages: list[Json]) -> str:
        body = self.model.body(messages)
        return json.dumps({"custom_id": name_of(messages), "method": "POST", "url": COMPLETIONS, "body": body})

    async def submit(self, asked: Sequence[list[Json]], conversations: Sequence[str], usage: Usage) -> None:
        """Send requests as a batch. Its row is written first, so that a crash leaves a trace to find it by."""
        key = uuid4().hex
        lines = dict.fromkeys(map(self._line, asked))  # conversations may be alike; a custom_id may not
        with self.engine.begin() as conn:
            open_batch(
                conn,
                {
                    **self.place,
                    "batch_key": key,
                    "conversations": list(conversations),
                    "input_tokens": usage.input,
                    "output_tokens": usage.output,
                },
            )
        client = self.model.client
        file = await self.model.patiently(
            lambda: client.files.create(file=("requests.jsonl", "\n".join(lines).encode()), purpose="batch")
        )
        batch = await self.model.patiently(
            lambda: client.batches.create(
                input_file_id=_id(file),
                endpoint=COMPLETIONS,
                completion_window=WINDOW,
                metadata={MARK: key},
            )
        )
        with self.engine.begin() as conn:
            name_batch(conn, key, _id(batch))


def _status(batch: object) -> str:
    """Return a batch's status; the library does not check what it was sent."""
    return str(getattr(batch, "status", None))


def _mark(batch: object) -> Any:
    metadata = getattr(batch, "metadata", None)
    return metadata.get(MARK) if isinstance(metadata, dict) else None


def _id(thing: object) -> str:
    """Return the id of a file or a batch. Raises ModelStopped where there is none."""
    found = getattr(thing, "id", None)
    if not isinstance(found, str):
        raise ModelStopped("The language model's address does not serve the Batch API; unset INGEST_LLM_MODE.")
    return found


def ended(settings: ModelSettings, batch_ids: Sequence[str]) -> set[str]:
    """Tell which of a few batches, others each time, have ended.

    One that cannot be looked at counts as ended, so that a run says why.
    """
    if not batch_ids or settings.api_key is None:
        return set()
    found = set()
    key = settings.api_key.get_secret_value()
    some = random.sample(batch_ids, min(LOOKED_AT, len(batch_ids)))  # not in turn: nobody remembers whose it was
    http = DefaultHttpxClient(follow_redirects=False, timeout=LOOK_SECONDS)
    with OpenAI(
        api_key=key, base_url=settings.base_url, timeout=LOOK_SECONDS, max_retries=0, http_client=http
    ) as client:
        for batch_id in some:
            try:
                if _status(client.batches.retrieve(batch_id)) in ENDED:
                    found.add(batch_id)
            except OpenAIError:
                found.add(batch_id)
    return found
