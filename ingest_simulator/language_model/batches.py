"""Files and batches: JSONL in, answers out in another order, some of them expired."""

from collections.abc import Callable
from typing import Any

import orjson

from ingest_simulator.language_model.world import Batch, Tenant
from ingest_simulator.wire import Answer, Json

Complete = Callable[[Tenant, Json], Answer]


def uploaded(tenant: Tenant, body: bytes, content_type: str) -> Json | None:
    """Store the file of a multipart body; None if there is none."""
    boundary = content_type.partition("boundary=")[2].strip('"').encode()
    for part in body.split(b"--" + boundary)[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        if b'name="file"' in head:
            return _kept(tenant, content.removesuffix(b"\r\n"))
    return None


def _kept(tenant: Tenant, content: bytes) -> Json:
    file_id = f"file-{len(tenant.files) + 1}"
    tenant.files[file_id] = content
    return {
        "id": file_id,
        "object": "file",
        "bytes": len(content),
        "created_at": 1_767_225_600,
        "filename": "requests.jsonl",
        "purpose": "batch",
        "status": "processed",
    }


def created(tenant: Tenant, asked: Json, now: float) -> Batch | None:
    """Start a batch over an uploaded file; None where there is no such file."""
    if asked.get("input_file_id") not in tenant.files:
        return None
    batch = Batch(
        f"batch_{len(tenant.batches) + 1}",
        asked["input_file_id"],
        asked.get("metadata") or {},
        now,
        now + tenant.batch_seconds,
        tenant.expiring,
    )
    tenant.expiring = 0
    tenant.batches[batch.id] = batch
    return batch


def shown(tenant: Tenant, batch: Batch, now: float, complete: Complete) -> Json:
    """Show a batch, carried out once its time has come."""
    ended = now >= batch.ends_at
    if ended and not batch.counts:
        _carry_out(tenant, batch, complete)
    status = "in_progress" if not ended else "expired" if batch.counts["failed"] else "completed"
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": "/v1/chat/completions",
        "errors": None,
        "input_file_id": batch.input_file_id,
        "completion_window": "24h",
        "status": status,
        "output_file_id": batch.output_file_id,
        "error_file_id": batch.error_file_id,
        "created_at": int(batch.created_at),
        "request_counts": batch.counts or {"total": 0, "completed": 0, "failed": 0},
        "metadata": batch.metadata,
    }


def _carry_out(tenant: Tenant, batch: Batch, complete: Complete) -> None:
    requests = [orjson.loads(line) for line in tenant.files[batch.input_file_id].splitlines()]
    late, answered = requests[: batch.expiring], requests[batch.expiring :]
    lines: list[Any] = []
    for place, one in enumerate(reversed(answered)):
        answer = complete(tenant, one["body"])
        response = {
            "status_code": answer.status,
            "request_id": f"req_{place}",
            "body": orjson.loads(answer.body),
        }
        lines.append(
            {"id": f"batch_req_{place}", "custom_id": one["custom_id"], "response": response, "error": None}
        )
    expired = {"code": "batch_expired", "message": "This request could not be executed before the window ended."}
    errors = [
        {"id": f"batch_req_e{place}", "custom_id": one["custom_id"], "response": None, "error": expired}
        for place, one in enumerate(late)
    ]
    batch.output_file_id = _kept(tenant, b"\n".join(map(orjson.dumps, lines)))["id"] if lines else None
    batch.error_file_id = _kept(tenant, b"\n".join(map(orjson.dumps, errors)))["id"] if errors else None
    batch.counts = {"total": len(requests), "completed": len(lines), "failed": len(errors)}
