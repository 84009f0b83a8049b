"""HTML of about a megabyte that takes other converters minutes, gigabytes or words. Each ends in a farewell."""

from collections.abc import Callable

MEGABYTE = 1_000_000
KIND_REGARDS = "Kind regards"


def _much(unit: str, before: str = "", after: str = "") -> Callable[[], str]:
    return lambda: f"{before}{unit * (MEGABYTE // len(unit))}{after}<p>{KIND_REGARDS}</p>"


def _ragged() -> str:
    rows = "".join("<tr>" + "<td>cell" * (row % 40) for row in range(2_500))
    return f"<table>{rows}</table><p>{KIND_REGARDS}</p>"


def _rows() -> str:
    rows = "<tr><td>a</td></tr>" * 20_000
    return f"<table><tr><td>{'x' * 5_000}</td></tr>{rows}</table><p>{KIND_REGARDS}</p>"


HOSTILE: dict[str, Callable[[], str]] = {
    "attributes": _much("b='c' ", "<a ", ">"),
    "attributes without values": _much("b ", "<a ", ">"),
    "one attribute": _much("a", "<p title='", "'>"),
    "equals signs": _much("= ", "<p ", ">"),
    "styles": _much("display ", "<p style='", "'>"),
    "deep": _much("<div>"),
    "deep paragraphs": _much("<div><p>a"),
    "open elements": lambda: "".join(f"<b a={place}>" for place in range(40_000)) + "<p>a" * 40_000 + KIND_REGARDS,
    "quotations": _much("<blockquote>a"),
    "lists": _much("<ul><li>a"),
    "cells": _much("<td>a"),
    "rows": _rows,
    "ragged": _ragged,
    "spans": lambda: f"<table><tr><td colspan=99999 rowspan=99999>a</table><p>{KIND_REGARDS}</p>",
    "padding": lambda: (
        "<div style='padding-left:99999em'>" + "<div style='margin-left:9999em'>a</div>\n" * 11_000 + KIND_REGARDS
    ),
    "preformatted": _much("a\n", "<blockquote>" * 5 + "<pre>", "</pre>"),
    "hidden": _much("<p hidden>a</p>"),
    "hidden without an end": _much("<p style='display:none'>a"),
    "links": _much("<a href='http://a'>b"),
    "unended tags": _much("<a b="),
    "unended quotations": _much('<a b="'),
    "quotations that swallow tags": _much('" <a x="> '),
    "unended comments": _much("<!--", after=">"),
    "unended sections": _much("<![CDATA[", after=">"),
    "unended styles": _much("<style>"),
    "scripts": _much("<script>a</script>"),
    "ampersands": _much("&am"),
    "a long number": _much("1", "&#", ";"),
    "numbers": _much("&#1"),
    "leading zeros": _much("0", "&#", "65;"),
    "white space": _much(" \n", "a", "b"),
    "line breaks": _much("<br>a"),
    "invisible": _much("&zwnj;&nbsp;"),
    "less-than signs": _much("<"),
    "images": _much("alt ", "<img ", ">"),
    "headers": _much("<h1>a"),
    "a picture inside": lambda: f"<img src='data:image/png;base64,{'aLtNoNe/' * 1_000_000}'><p>{KIND_REGARDS}</p>",
    "nul": _much("\0<b\0>"),
}
