"""The Batch API: what is to be asked goes as one file, the answers come within a day, at a discount.

A batch only brings answers nearer: a later run reads conversations the same way as ever, and takes an answer from
the batch where it has one. What expired is asked in the next batch; corrections and halves are asked directly.
"""

import json
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar
from uuid import uuid4

from openai import NotFoundError, OpenAI, OpenAIError
from openai.types.chat import ChatCompletion
from sqlalchemy import Engine

from ingest_assets.features.client import (
    FILTERED,
    FILTERED_CODES,
    RETRIED_STATUSES,
    TOO_LONG_CODES,
    LanguageModel,
    ModelStopped,
    Rejected,
    TooLong,
    Usage,
    is_completion,
    read,
)
from ingest_assets.features.model import digest
from ingest_assets.features.settings import ModelSettings
from ingest_assets.sources.rejected import UNPARSEABLE
from ingest_assets.storage import features as storage

T = TypeVar("T")
OK, SERVER_ERROR = 200, 500
ENDED = {"completed", "failed", "expired", "cancelled"}
MOST_REQUESTS, MOST_BYTES = 20_000, 100_000_000  # OpenAI takes 50,000 and 200 MB
WINDOW: Final = "24h"
LISTED = 100  # the newest batches, in which one is looked for that was submitted as we died
MARK = "ingest_assets"
LOOKED_AT, LOOK_SECONDS = 10, 5  # batches looked at a time, and for how long each: a sensor has a minute


def name_of(messages: Sequence[Mapping[str, Any]]) -> str:
    """Name a request by what it asks: its custom_id."""
    return digest(json.dumps(messages))


Answer = ChatCompletion | TooLong | Rejected | None
"""What a batch says to a request. None: a refusal, whose reason a direct request tells."""


def answer_of(line: str) -> tuple[str, Answer] | None:
    """Read a line of a batch's file: (custom_id, answer). None where the next batch asks again."""
    try:
        entry = json.loads(line)
        name, status, body = entry["custom_id"], entry["response"]["status_code"], entry["response"]["body"]
        if status in RETRIED_STATUSES or status >= SERVER_ERROR:
            return None
        if status == OK:
            completion = ChatCompletion.construct(**body)
            return name, completion if is_completion(completion) else None
        code = body["error"]["code"]
    except UNPARSEABLE:
        return None
    if code in TOO_LONG_CODES:
        return name, TooLong("The transcript is longer than the model reads.")
    return name, Rejected(FILTERED, Usage()) if code in FILTERED_CODES else None


class Answered(LanguageModel):
    """A model of which some answers are there already."""

    def __init__(self, model: LanguageModel, answers: dict[str, Answer]) -> None:
        self._model, self._answers = model, answers

    def holds(self, messages: Sequence[dict[str, Any]]) -> bool:
        return self._answers.get(name_of(messages)) is not None

    async def ask(self, messages: Sequence[dict[str, Any]]) -> tuple[str, Usage]:
        answer = self._answers.pop(name_of(messages), None)
        if answer is None:
            return await self._model.ask(messages)
        if isinstance(answer, ChatCompletion):
            return read(answer, batched=True)
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
            rows = storage.live_batches(conn, **self.place)
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
            if batch.status not in ENDED:
                self.under_way |= set(row.conversations)
                self.estimated += Usage(row.input_tokens, row.output_tokens)
                continue
            for file_id in (batch.output_file_id, batch.error_file_id):
                if file_id:
                    await self._fetch(file_id)
            if batch.status == "failed":
                self._close([row.batch_key])
                raise ModelStopped("The language model refuses our batch; look at it in its console.")
            self._ended.append(row.batch_key)

    async def _fetch(self, file_id: str) -> None:
        content = await self._known(partial(self.model.client.files.content, file_id))
        for line in () if content is None else content.text.splitlines():
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

        async def newest() -> Any:
            return await self.model.client.batches.list(limit=LISTED)

        page = await self.model.patiently(newest)
        batch_id = next((one.id for one in page.data if (one.metadata or {}).get(MARK) == batch_key), None)
        if batch_id is not None:
            with self.engine.begin() as conn:
                storage.name_batch(conn, batch_key, batch_id)
        return batch_id

    def close(self) -> None:
        """Note that all answers that came are stored."""
        self._close(self._ended)

    def _close(self, keys: Sequence[str]) -> None:
        with self.engine.begin() as conn:
            storage.close_batches(conn, keys)

    async def submit(
        self, asked: Sequence[list[dict[str, Any]]], conversations: Sequence[str], usage: Usage
    ) -> None:
        """Send requests as a batch. Its row is written first, so that a crash leaves a trace to find it by."""
        key = uuid4().hex
        lines = [
            json.dumps(
                {
                    "custom_id": name_of(messages),
                    "method": "POST",
                    "url": "/v1/chat/completions",
                    "body": self.model.body(messages),
                }
            )
            for messages in asked
        ]
        unique = "\n".join(dict.fromkeys(lines)).encode()  # conversations may be alike; a custom_id may not
        with self.engine.begin() as conn:
            storage.open_batch(
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
            lambda: client.files.create(file=("requests.jsonl", unique), purpose="batch")
        )
        batch = await self.model.patiently(
            lambda: client.batches.create(
                input_file_id=file.id,
                endpoint="/v1/chat/completions",
                completion_window=WINDOW,
                metadata={MARK: key},
            )
        )
        with self.engine.begin() as conn:
            storage.name_batch(conn, key, batch.id)


def ended(settings: ModelSettings, batch_ids: Sequence[str]) -> set[str]:
    """Tell which of a few batches, others each time, have ended.

    One that cannot be looked at counts as ended, so that a run says why.
    """
    if not batch_ids or settings.api_key is None:
        return set()
    found = set()
    key = settings.api_key.get_secret_value()
    some = random.sample(batch_ids, min(LOOKED_AT, len(batch_ids)))  # not in turn: nobody remembers whose it was
    with OpenAI(api_key=key, base_url=settings.base_url, timeout=LOOK_SECONDS, max_retries=0) as client:
        for batch_id in some:
            try:
                if client.batches.retrieve(batch_id).status in ENDED:
                    found.add(batch_id)
            except OpenAIError:
                found.add(batch_id)
    return found
