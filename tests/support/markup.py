"""Reads the forms and the fields of a page, as a browser would send them."""

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class FormMarkup:
    """A form. `targets` are its action and those of its buttons; `fields` are its inputs."""

    method: str
    targets: list[str]
    fields: list[dict[str, str]] = field(default_factory=list)

    def values(self, name: str) -> list[str]:
        return [one.get("value", "") for one in self.fields if one.get("name") == name]


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[FormMarkup] = []
        self.inputs: list[dict[str, str]] = []
        self._open: FormMarkup | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form":
            method = attributes.get("method", "get").lower()
            self._open = FormMarkup(method, [attributes.get("action", "")])
            self.forms.append(self._open)
        elif tag == "input":
            self.inputs.append(attributes)
            if self._open is not None:
                self._open.fields.append(attributes)
        elif tag == "button" and self._open is not None and "formaction" in attributes:
            self._open.targets.append(attributes["formaction"])

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None


def _parse(text: str) -> _Parser:
    parser = _Parser()
    parser.feed(text)
    return parser


def forms(text: str) -> list[FormMarkup]:
    """All forms of a page."""
    return _parse(text).forms


def inputs(text: str) -> list[dict[str, str]]:
    """The attributes of all inputs of a page."""
    return _parse(text).inputs
