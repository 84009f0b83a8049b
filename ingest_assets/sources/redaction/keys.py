"""Private keys in PEM, and API keys of forms that their vendors made to be recognised."""

import re

PRIVATE_KEY, API_KEY = "[private key]", "[API key]"
_MARK = re.compile("-----(BEGIN|END) ([A-Z0-9 ]{0,40})-----", re.ASCII)
_BODY = re.compile(r"(?:[A-Za-z0-9+/=\s]|\\[nr])*", re.ASCII)
FORMS: dict[str, str] = {
    # by what each contains, which a search finds faster than the pattern
    "AKIA": "AKIA[A-Z0-9]{16}",  # Amazon
    "ASIA": "ASIA[A-Z0-9]{16}",
    "AIza": "AIza[A-Za-z0-9_-]{35}",  # Google
    **{f"gh{kind}_": f"gh{kind}_[A-Za-z0-9]{{36,}}" for kind in "pousr"},  # GitHub
    "github_pat_": "github_pat_[A-Za-z0-9_]{22,}",
    "glpat-": "glpat-[A-Za-z0-9_-]{20,}",  # GitLab
    "xox": "xox[abceoprs]-[A-Za-z0-9-]{10,}",  # Slack
    "xapp-": "xapp-[A-Za-z0-9-]{10,}",
    "_live_": "[prs]k_live_[A-Za-z0-9]{16,}",  # Stripe
    "_test_": "[prs]k_test_[A-Za-z0-9]{16,}",
    "sk-": "sk-[A-Za-z0-9_-]{20,}",  # OpenAI, Anthropic
    "SG.": r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}",  # SendGrid
    "npm_": "npm_[A-Za-z0-9]{36}",
}
_FORMS = {part: re.compile(f"(?<![A-Za-z0-9_-]){form}", re.ASCII) for part, form in FORMS.items()}


def replaced(text: str) -> str:
    """Return a text without keys; the same text where there is none."""
    if "-----BEGIN " in text:
        text = _without_private_keys(text)
    for part, form in _FORMS.items():
        if part in text:
            after, count = form.subn(API_KEY, text)
            text = after if count else text
    return text


def _without_private_keys(text: str) -> str:
    """Take out each key from its first mark to its last, or, without that, as far as it looks like one."""
    pieces: list[str] = []
    end, begun = 0, None
    for mark in [*_MARK.finditer(text), None]:
        ends = mark is not None and mark[1] == "END"
        if begun is not None:
            pieces += [text[end : begun.start()], PRIVATE_KEY]
            end = mark.end() if mark is not None and ends else _end_of_body(text, begun.end())
        begun = mark if mark is not None and not ends and "PRIVATE KEY" in mark[2] else None
    return "".join([*pieces, text[end:]]) if pieces else text


def _end_of_body(text: str, start: int) -> int:
    body = _BODY.match(text, start)
    return start if body is None else body.end()
