"""XML from strangers: a tree without entities, foreign files or endless depth."""

from pathlib import Path
from xml.etree import ElementTree as ET
from xml.parsers import expat

from ecg_r1.formats.common import (
    CUT_SHORT,
    MAX_TEXT_BYTES,
    ECGError,
    brief,
    check_size,
    quoted,
)

MAX_ELEMENTS = 200_000  # a long record of a hospital's archive has a few thousand
MAX_DEPTH = 60
# What expat says of a text that ends where XML cannot.
ENDS_EARLY = {
    expat.errors.codes[words]
    for words in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
    )
}


def parse_xml(path: Path) -> ET.Element:
    """The root of an XML file, its tags and attributes without namespaces.

    A document type may be named, as GE's archive does, but nothing that it would define is
    used or fetched.

    Raises:
        ECGError: The file is no XML, declares entities, or is larger or deeper than is sane.
    """
    check_size(path, MAX_TEXT_BYTES)
    builder = _Builder(path.name)
    try:
        return builder.build(path.read_bytes())
    except (expat.ExpatError, ValueError, LookupError) as error:
        if isinstance(error, ECGError):
            raise
        why = CUT_SHORT if getattr(error, "code", None) in ENDS_EARLY else "export it again"
        raise ECGError(f"{path.name} is not readable XML ({brief(error)}): {why}") from error


def child_text(node: ET.Element | None, tag: str) -> str:
    """Text of the first child of this name, without surrounding blanks; "" without one."""
    found = None if node is None else node.find(tag)
    return "" if found is None else (found.text or "").strip()


def number(text: str, what: str) -> float:
    """A number that a file states.

    Raises:
        ECGError: The text is no finite number; says what it was to be.
    """
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < float("inf"):
        raise ECGError(f"{what} is {quoted(text)!r}, which is no number")
    return value


class _Builder:
    """Feeds what expat finds to a tree, and stops it where a sane file would never go."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tree = ET.TreeBuilder()
        self.depth = self.count = 0

    def build(self, content: bytes) -> ET.Element:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self.tree.data
        parser.EntityDeclHandler = self._entity
        parser.SkippedEntityHandler = self._entity
        parser.ExternalEntityRefHandler = self._entity
        parser.Parse(content, True)  # noqa: FBT003  expat's own signature
        return self.tree.close()

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        self.count += 1
        if self.depth > MAX_DEPTH or self.count > MAX_ELEMENTS:
            raise ECGError(
                f"{self.name} has more than {MAX_ELEMENTS} elements or {MAX_DEPTH} levels, "
                "which is no ECG"
            )
        self.tree.start(
            _local(tag), {_local(name): value for name, value in attributes.items()}
        )

    def _end(self, tag: str) -> None:
        self.depth -= 1
        self.tree.end(_local(tag))

    def _entity(self, name: str | None, *_: object) -> None:
        raise ECGError(
            f"{self.name} uses the XML entity {quoted(name or '?')!r}: entities are not read, "
            "save the file without"
        )


def _local(name: str) -> str:
    return name.rpartition(":")[2]
