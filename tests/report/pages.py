"""What a browser would make of a page: its texts, its elements, and whether it is well formed and asks for nothing."""

from __future__ import annotations

from html.parser import HTMLParser

#: Names that people with bad intent give to kernels, files and options.
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'; } </style><svg onload=alert(1)>",
    "{{ 7 * 7 }} {% raw %}",
    "a\x1b[31mb\x00c\u202ed",
)
VOID = {"meta"}


class Read(HTMLParser):
    """The elements and the texts of a page; it raises where one is closed that is not open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"{self.open} are never closed"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open[-1:] == [tag], f"</{tag}> closes something else"
        self.open.pop()

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self) -> str:
        return "\n".join(self.texts)


def read(text: str) -> Read:
    """A page that holds no program, names no other file, and shows nothing that does not print."""
    page = Read(text)
    for tag, attributes in page.elements:
        assert tag not in {"script", "img", "iframe", "object", "link", "a", "form"}, tag
        for name, value in attributes.items():
            assert not name.startswith("on"), name
            assert name not in {"src", "href", "srcset"}, (tag, name, value)
    assert all(char.isprintable() or char in "\n\t" for char in text)
    return page
