"""What a run's log tells of its workspaces: who failed and why, and at the end how many were read."""

from collections import Counter
from collections.abc import Mapping, Sequence
from logging import Logger
from typing import Any

from ingest_assets.assets.partition_status import has_news
from ingest_assets.errors import CursorExpired, DoubtfulRejection, Transient
from ingest_assets.sources.source import Source
from ingest_assets.sync.result import FAILED, PARTIAL, SKIPPED, SUCCESS, SyncResult
from ingest_assets.terminal import printable

EVERY = 50
"""A log line per so many workspaces that had nothing new: a line is an event, too."""
PASSING = (Transient, CursorExpired, DoubtfulRejection)


class Progress:
    """A run's workspaces as they are done."""

    def __init__(self, log: Logger, source: Source, total: int) -> None:
        self._log, self._source, self._total = log, source, total
        self._done = 0
        self._read = 0
        self._waiting: Counter[str] = Counter()
        self._partly: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()

    def workspace(
        self, workspace_id: str, results: Sequence[SyncResult], summary: Mapping[str, Any], *, told_later: bool
    ) -> None:
        """Log a workspace that has news, and now and then one that has none.

        `told_later`: the run fails for it, and says why in an error line at its end.
        """
        self._done += 1
        self._count(results)
        place = f"{self._source.name} {workspace_id} ({self._done} of {self._total})"
        failed = [result for result in results if result.status == FAILED]
        if told_later:
            return
        if failed:
            reasons = " ".join(dict.fromkeys(printable(result.reason) for result in failed))
            self._log.warning("%s: %s, %s", place, summary["status"], reasons, extra=summary)
        elif has_news(summary) or self._done % EVERY == 0 or self._done == self._total:
            self._log.info("%s: %s", place, summary["status"], extra=summary)

    def _count(self, results: Sequence[SyncResult]) -> None:
        failed = [result for result in results if result.status == FAILED]
        skipped = [result for result in results if result.status == SKIPPED]
        lasting = [result for result in failed if not isinstance(result.error, PASSING)]
        if failed and any(result.status in {SUCCESS, PARTIAL} for result in results):
            self._partly[printable(failed[0].reason)] += 1
        elif lasting:
            self._failed[printable(lasting[0].reason)] += 1
        elif failed or skipped:
            self._waiting[printable([*failed, *skipped][0].reason)] += 1
        else:
            self._read += 1

    def end(self) -> None:
        """Log the sum, as a warning unless everybody was read; of one that was not, there is a line already."""
        if self._total == 1 and not self._read:
            return
        sentences = [f"{self._read} of {self._total} {self._source.title} workspaces read"]
        sentences += [f"{found.total()} {verb}: {_most(found)}" for verb, found in self._left() if found]
        log = self._log.info if len(sentences) == 1 else self._log.warning
        log("%s", "; ".join(sentences))

    def _left(self) -> list[tuple[str, Counter[str]]]:
        return [("read in part", self._partly), ("wait", self._waiting), ("failed", self._failed)]


def _most(reasons: Counter[str]) -> str:
    """Return the reason of most workspaces, and how many have others."""
    [(reason, count)] = reasons.most_common(1)
    others = reasons.total() - count
    return f"{reason} ({others} for other reasons)" if others else reason
