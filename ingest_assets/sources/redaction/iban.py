"""IBANs: a country's code and length, and the remainder that ISO 13616 asks for."""

import re

IBAN = "[IBAN]"
GAPS = " \u00a0\u202f\u00ad\u200b\u200c\u200d\u2060\ufeff-"
LENGTHS = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI FK FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV", 22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL",
        24: "AD CZ DZ ES MD PK RO SA SE SK TN VG", 25: "AO LY PT ST", 26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BF BJ BY CI CM CV CY DO GT HN HU LB MG ML MZ NE NI PL SN TG",
        29: "BR EG PS QA UA", 30: "JO KW MU YE", 31: "MT SC", 32: "LC", 33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip
"""Of the registry of SWIFT, and of countries that use the form without it."""
_START = re.compile(r"\b[A-Za-z]{2}[0-9]{2}", re.ASCII)


def replaced(text: str) -> str:
    """Return a text without IBANs; the same text where there is none."""
    pieces, end = [], 0
    for start in _START.finditer(text):
        if start.start() >= end and (stop := _end_of(text, start.start())) is not None:
            pieces += [text[end : start.start()], IBAN]
            end = stop
    return "".join([*pieces, text[end:]]) if pieces else text


def _end_of(text: str, start: int) -> int | None:
    """Return where an IBAN ends that begins at a place; None where none does."""
    length = LENGTHS.get(text[start : start + 2].upper())
    if length is None:
        return None
    found, place = "", start
    while len(found) < length and place < len(text):
        one = text[place]
        if one.isascii() and one.isalnum():
            found += one
        elif one not in GAPS or text[place - 1] in GAPS:
            return None
        place += 1
    if len(found) < length or text[place : place + 1].isalnum():
        return None
    moved = found[4:] + found[:4]
    return place if int("".join(str(int(one, 36)) for one in moved)) % 97 == 1 else None
