"""Pages made to hurt, cut down before they reach a parser.

The HTML parser takes time in the square of the nesting and of the number of attributes of one tag: a page of 10 MB can
keep it busy for minutes. No real page comes near the limits here, and no text is lost by them.
"""

from __future__ import annotations

import re

_MANY_TAGS = 20_000  # below it, nesting cannot cost more than a second
_DEEPEST = 1_000
_LONGEST_TAG = 20_000  # characters
_MANY_ATTRIBUTES = 500

# Tags that close each other by themselves nest only inside those that do not.
_NESTING = re.compile(
    r"<(/?)(?!(?:p|li|d[td]|t[dhr]|t(?:body|head|foot)|option|optgroup|br|img|hr|input|meta|link|wbr|source|area|base|col|embed|param|track)\b)"
    r"[a-zA-Z][^\s/>]*[^>]*>"
)
_LONG_TAG = re.compile(rf"<[a-zA-Z][^<>]{{{_LONGEST_TAG},}}>")
_TELLING = re.compile(
    r"\s(?:class|id|href|role)\s*=\s*(?:\"[^\"]{0,2000}\"|'[^']{0,2000}'|[^\s\"'>]{1,2000})", re.IGNORECASE
)


# Browsers read <noscript> as raw text. A parser that runs no scripts reads tags there, falls into the unclosed <iframe> of
# a widespread tracking snippet, and takes all the rest of the page for its raw text.
_IFRAME = re.compile(r"</?iframe\b[^>]*>", re.IGNORECASE)


def tame(text: str) -> str:
    """`text`, without the tags that stand too deep, the attributes that are too many, and frames for want of scripts."""
    text = _without_frames(text)
    if _may_hold_long_tag(text):
        text = _LONG_TAG.sub(_few_attributes, text)
    if text.count("<") > _MANY_TAGS:
        text = _flattened(text)
    return text


def _may_hold_long_tag(text: str) -> bool:
    """Whether some stretch has no `>`: a tag that is too long covers one of these blocks from end to end."""
    block = _LONGEST_TAG // 2
    return any(text.find(">", at, at + block) < 0 for at in range(0, len(text) - block, block))


def _without_frames(text: str) -> str:
    parts: list[str] = []
    end = 0
    while (start := text.find("<noscript", end)) >= 0:
        stop = text.find("</noscript", start)
        if stop < 0:
            break
        parts += [text[end:start], _IFRAME.sub(" ", text[start:stop])]
        end = stop
    return "".join([*parts, text[end:]]) if parts else text


def _few_attributes(match: re.Match[str]) -> str:
    tag = match[0]
    if tag.count("=") < _MANY_ATTRIBUTES and tag.count(" ") < 10 * _MANY_ATTRIBUTES:
        return tag  # an image or some state written into one attribute
    name = re.match(r"<[^\s/>]*", tag)
    return f"{name[0] if name else '<div'}{''.join(_TELLING.findall(tag)[:10])}>"


def _flattened(text: str) -> str:
    depth = deepest = 0
    for match in _NESTING.finditer(text):
        depth = max(0, depth + (-1 if match[1] else 1))
        deepest = max(deepest, depth)
    if deepest <= _DEEPEST:
        return text
    depth = 0

    def kept(match: re.Match[str]) -> str:
        nonlocal depth
        if match[1]:
            depth = max(0, depth - 1)
            return match[0] if depth < _DEEPEST else " "
        depth += 1
        return match[0] if depth <= _DEEPEST else " "

    return _NESTING.sub(kept, text)
