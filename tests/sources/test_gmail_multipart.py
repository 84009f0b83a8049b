"""What the batch endpoint answers, and what stands between us and it makes of that."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping

import pytest

from ingest_assets.sources.gmail.multipart import Packed, packed, unpacked
from tests.sources.tenants import GmailTenant
from tests.workbench import Bench

PATHS = {f"t{number}": f"/gmail/v1/users/me/threads/t{number}?format=full" for number in range(3)}
QUICK = 1.0  # seconds


def body_of(key: str) -> str:
    """What Google answers about a thread: JSON on several lines, and a text with a boundary in it."""
    return json.dumps({"id": key, "snippet": "--batch_x\r\n--batch_x--\n\n"}, indent=1)


def answer(request: Packed, boundary: str = "batch_x", *, first: str = "200 OK") -> str:
    """Write an answer as Google does."""
    parts = [
        f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID: <response-{content_id}>\r\n\r\n"
        f"HTTP/1.1 {first}\r\nContent-Type: application/json; charset=UTF-8\r\nContent-Length: 5\r\n\r\n"
        f"{body_of(key)}"
        for content_id, key in request.keys.items()
    ]
    return "\r\n".join([*parts, f"--{boundary}--"])


def doubled(text: str) -> str:
    """Repeat all the parts, each time with an error first."""
    good, end = text.rsplit("--batch_x--", 1)
    return good.replace("200 OK", "503 Unavailable") + good + "--batch_x--" + end


def with_more(text: str, more: str) -> str:
    return text.removesuffix("--batch_x--") + more


def reversed_parts(text: str) -> str:
    _, *parts, end = text.split("--batch_x\r\n")
    last, closing = end.split("\r\n--batch_x--")
    return (
        "".join(f"--batch_x\r\n{part.rstrip()}\r\n" for part in [last, *reversed(parts)]) + f"--batch_x--{closing}"
    )


CHANGES: Mapping[str, Callable[[str], str]] = {
    "as Google writes it": lambda text: text,
    "in another order": reversed_parts,
    "LF only": lambda text: text.replace("\r\n", "\n"),
    "lower-case names": lambda text: text.replace("Content-", "content-"),
    "upper-case names": lambda text: text.replace("Content-ID", "CONTENT-ID"),
    "no reason phrase": lambda text: text.replace("200 OK", "200"),
    "a space for a reason phrase": lambda text: text.replace("200 OK", "200 "),
    "HTTP/2": lambda text: text.replace("HTTP/1.1 200 OK", "HTTP/2 200"),
    "folded headers": lambda text: text.replace("Content-ID: <", "Content-ID:\r\n <").replace("; ch", ";\r\n\tch"),
    "headers without a space": lambda text: text.replace("-ID: ", "-ID:"),
    "more headers": lambda text: text.replace("Content-ID", "Vary: Origin\r\nContent-Length: 7\r\nContent-ID"),
    "no angle brackets": lambda text: text.replace("<response-", "response-").replace(">\r\n", "\r\n"),
    "no prefix": lambda text: text.replace("<response-", "<"),
    "a preamble": lambda text: f"This is a message with multiple parts in MIME format.\r\n{text}",
    "an epilogue": lambda text: f"{text}\r\nNothing more\r\n--batch_x\r\n\r\nHTTP/1.1 500\r\n\r\n",
    "spaces after the boundary": lambda text: text.replace("--batch_x\r\n", "--batch_x \t\r\n"),
    "no end": lambda text: text.removesuffix("\r\n--batch_x--"),
    "empty lines before the status": lambda text: text.replace("HTTP/1.1", "\r\n\r\nHTTP/1.1"),
    "parts that nobody asked for": lambda text: with_more(
        text, "--batch_x\r\nContent-ID: <response-3>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n{}\r\n--batch_x--"
    ),
    "every part twice, first as an error": doubled,
    "every part twice, then as an error": lambda text: with_more(text, doubled(text)),
}
BOUNDARIES = {
    'multipart/mixed; boundary="batch_x"': "batch_x",
    "multipart/mixed; boundary=batch_x": "batch_x",
    "multipart/mixed; Boundary = batch_x ; charset=UTF-8": "batch_x",
    'Multipart/Mixed; charset=utf-8; BOUNDARY="=_a (b)+c/d:e?=\'.*[x]"': "=_a (b)+c/d:e?='.*[x]",
    'multipart/mixed; boundary="a\\"b;c\\\\d"': 'a"b;c\\d',
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_answer_is_read_however_it_is_written(change: str) -> None:
    request = packed(PATHS)
    written = CHANGES[change](answer(request))
    found = unpacked(request.keys, 'multipart/mixed; boundary="batch_x"', written.encode())
    assert {key: (one.status, json.loads(one.content)["id"]) for key, one in found.items()} == {
        key: (200, key) for key in PATHS
    }


@pytest.mark.parametrize("content_type", BOUNDARIES)
def test_a_boundary_may_hold_anything_that_mime_allows(content_type: str) -> None:
    request = packed(PATHS)
    written = answer(request, BOUNDARIES[content_type])
    assert unpacked(request.keys, content_type, written.encode()).keys() == PATHS.keys()


def test_an_answer_to_another_request_answers_nothing() -> None:
    mine, others = packed(PATHS), packed(PATHS)
    assert unpacked(mine.keys, "multipart/mixed; boundary=batch_x", answer(others).encode()) == {}


def test_headers_of_a_part_are_found_by_any_name() -> None:
    request = packed({"t0": "/"})
    written = answer(request, first="429 Too Many Requests").replace("Content-Length: 5", "RETRY-After:  7 ")
    [found] = unpacked(request.keys, "multipart/mixed; boundary=batch_x", written.encode()).values()
    assert (found.status, found.headers["retry-after"]) == (429, "7")


@pytest.mark.parametrize(
    ("content_type", "written"),
    [
        ("", "--batch_x\r\n"),
        ("text/html", "<html>"),
        ("multipart/mixed; boundary=", "--\r\n--\r\n"),
        (f"multipart/mixed; boundary={'b' * 500}", f"--{'b' * 500}\r\n"),
        ("multipart/mixed; boundary=\u00e9", "--\u00e9"),
        ("multipart/mixed; boundary=batch_x", ""),
        ("multipart/mixed; boundary=batch_x", "--batch_x"),
        ("multipart/mixed; boundary=batch_x", "--batch_x\r\nContent-ID: <response-"),
        ("multipart/mixed; boundary=batch_x", "--batch_x\r\n\r\n\r\n\r\n--batch_x--"),
    ],
)
def test_what_is_no_answer_answers_nothing(content_type: str, written: str) -> None:
    assert unpacked(packed(PATHS).keys, content_type, written.encode()) == {}


@pytest.mark.parametrize("cut", range(0, 900, 7))
def test_an_answer_that_was_cut_off_answers_what_is_whole(cut: int) -> None:
    request = packed(PATHS)
    written = answer(request)
    found = unpacked(request.keys, "multipart/mixed; boundary=batch_x", written.encode()[: len(written) - cut])
    for key, one in found.items():
        try:
            assert json.loads(one.content)["id"] == key
        except ValueError:  # the last one
            assert key == list(PATHS)[len(found) - 1]


@pytest.mark.parametrize(
    "hostile",
    [
        "--b\n" * 2_000_000,
        "--b\r\n\r\n" * 1_000_000,
        "--b" + " " * 8_000_000,
        "\n--b" + "\n--b ".join([" " * 1000] * 8000),
        "--b\r\n" + "content-id: <response-" * 400_000,
        "--b\r\n" + "\r\n \t" * 2_000_000,
        "--b\r\nContent-ID: <response-KEY>\r\n\r\n" + "\r\n" * 4_000_000,
        "--b\r\nContent-ID: <response-KEY>\r\n\r\nHTTP/1.1 200" + " " * 8_000_000,
        "--b\r\nContent-ID: <response-KEY>\r\n\r\nHTTP/1.1 200\r\n" + "a: b\r\n" * 1_300_000,
    ],
    ids=["boundaries", "empty parts", "spaces", "almost boundaries", "ids", "folds", "lines", "status", "headers"],
)
def test_a_hostile_answer_is_read_in_no_time(hostile: str) -> None:
    request = packed({"t0": "/"})
    [content_id] = request.keys
    written = hostile.replace("KEY", content_id).encode()
    began = time.perf_counter()
    unpacked(request.keys, "multipart/mixed; boundary=b", written)
    assert time.perf_counter() - began < QUICK


def test_a_hostile_content_type_is_read_in_no_time() -> None:
    began = time.perf_counter()
    unpacked({}, "boundary" + "=" * 50_000 + 'boundary="' + "\\" * 50_001, b"")
    unpacked({}, "boundary " * 20_000, b"")
    assert time.perf_counter() - began < QUICK


class TestAProxyThatMixesAnswersUp:
    @pytest.fixture
    def acme(self, bench: Bench) -> GmailTenant:
        bench.configure(GMAIL_BATCH_SIZE="2")
        tenant = GmailTenant(bench, "acme")
        tenant.connect()
        for place in range(12):
            tenant.message(hours_ago=place + 1)
        return tenant

    def test_for_a_moment_costs_nothing(self, acme: GmailTenant) -> None:
        acme.fault("replay", method="batch", skip=1, times=4)
        acme.reads()
        assert len(acme.living) == 12

    def test_for_ever_is_no_success(self, acme: GmailTenant) -> None:
        acme.fault("replay", method="batch", skip=1, times=-1)
        for _ in range(2):
            assert acme.sync().status == "failed"
            assert acme.account.state == "active"
        acme.calm()
        acme.reads()
        assert len(acme.living) == 12

    def test_and_leaves_half_of_them_out_costs_nothing(self, acme: GmailTenant) -> None:
        acme.fault("missing", method="threads.get", times=5, every=2)
        acme.reads()
        assert len(acme.living) == 12

    def test_and_exchanges_two_threads_mixes_up_no_mail(self, acme: GmailTenant) -> None:
        acme.reads()
        one, two = (acme.message(text=f"By {name}") for name in ("Ann", "Bob"))
        shown = {name: {"id": other["thread"]} for name, other in ((one["thread"], two), (two["thread"], one))}
        for thread_id, body in shown.items():
            acme.fault("json", method="threads.get", part=thread_id, status=200, body=body)
        acme.reads()
        assert "By Ann" in acme.rows[one["thread"]].text
        assert "By Bob" in acme.rows[two["thread"]].text
