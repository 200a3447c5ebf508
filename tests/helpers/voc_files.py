"""Pascal VOC XML, whole and a little changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from builders import object_xml, voc_xml
from fuzzing import ODD_NUMBERS, ODD_TEXTS
from hypothesis import strategies as st

PART = "<part><name>head</name><bndbox><xmin>2</xmin><ymin>2</ymin><xmax>4</xmax><ymax>4</ymax></bndbox></part>"
MORE = f"<pose>Left</pose><truncated>1</truncated><difficult>yes</difficult><free><a>1</a><a>2</a></free>{PART}"
VALID = voc_xml(object_xml(more=MORE), object_xml("dog", (3, 2, 9, 9)), filename="a.jpg", more="<source>x</source>")
OTHERS = (
    f'<?xml version="1.0" encoding="UTF-8"?>{VALID}',
    f'<!DOCTYPE annotation SYSTEM "x.dtd">{VALID}',
    f'<!DOCTYPE annotation [<!ENTITY a "aaaa">]>{VALID.replace("dog", "&a;")}',
    VALID.replace("<pose>Left</pose>", "<pose><![CDATA[<x>]]></pose><!-- c --><?pi x?>"),
    VALID.replace("<object>", '<object xmlns="http://x">', 1),
)
FILES = (*(text.encode() for text in (VALID, *OTHERS)), VALID.encode("utf-16"))
TAGS = tuple(sorted({tag.strip("</>") for tag in VALID.replace("<", "\n<").replace(">", ">\n").split() if "<" in tag}))


@st.composite
def rewritten(draw: Callable[..., Any]) -> str:
    """The text of some elements replaced, elements left out, doubled, renamed, or nested in one another."""
    text = draw(st.sampled_from((VALID, *OTHERS)))
    for _ in range(draw(st.integers(1, 3))):
        tag, new = draw(st.sampled_from(TAGS)), draw(st.sampled_from((*TAGS, "a:b", "x" * 300)))
        first, last = text.find(f"<{tag}>"), text.find(f"</{tag}>")
        if first < 0 or last < first:
            continue
        inner, end = text[first + len(tag) + 2 : last], last + len(tag) + 3
        value = str(draw(st.sampled_from((*ODD_NUMBERS, *ODD_TEXTS, "&#0;", "&#x1b;[31m", "1_0", "٣", "０", "&lt;"))))
        whole = {
            "text": f"<{tag}>{value}</{tag}>",
            "gone": "",
            "double": f"<{tag}>{inner}</{tag}>" * draw(st.sampled_from((2, 3, 200))),
            "rename": f"<{new}>{inner}</{new}>",
            "nest": f"<{tag}>" * draw(st.sampled_from((2, 70, 3000))) + inner + f"</{tag}>" * 2,
            "deep": f"<{tag}>" + "<d>" * 3000 + "</d>" * 3000 + f"{inner}</{tag}>",
        }[draw(st.sampled_from(("text", "text", "text", "gone", "double", "rename", "nest", "deep")))]
        text = text[:first] + whole + text[end:]
    return text
