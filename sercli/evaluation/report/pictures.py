"""Pictures made fit to stand together in one page: small, and with ids and styles that do not clash."""

import re
from xml.etree import ElementTree

from markupsafe import Markup

_NUMBER = re.compile(r"-?\d+\.\d+(?:e[+-]?\d+)?")
_REFERENCE = re.compile(r"(?<=url\(#)[\w-]+|(?<=^#)[\w-]+")  # in a style or all that an href has; no colour
_DRAWN = ("d", "x", "y", "width", "height", "transform", "points", "viewBox")  # attributes of which two decimals do
_REFERRING = ("href", "clip-path", "style", "fill")  # fill: of a hatch
_NO_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # a name may have such a character, a document may not


class Album:
    """The pictures of one page. What they say of style is gathered into one style sheet, for most of it repeats."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}  # declarations -> the class that has them
        self._n = 0

    def add(self, svg: str) -> Markup:
        """A picture as it is put into the page.

        Args:
            svg: one <svg> element, as `plots.as_svg` gives it.
        """
        root = ElementTree.fromstring(_NO_XML.sub(" ", svg))  # our own pictures: nothing from elsewhere is parsed
        self._n += 1
        _strip_namespaces(root)
        used = sorted({name for node in root.iter() for name in _references(node)})
        short = {name: f"g{self._n}-{number}" for number, name in enumerate(used)}
        for node in root.iter():
            self._rewrite(node, short, keep_style=node is root)
        root[:] = _flat(root)
        return Markup(ElementTree.tostring(root, encoding="unicode"))

    def css(self) -> Markup:
        """The style sheet of all pictures that were added."""
        rules = "\n".join(f".{name}{{{declarations}}}" for declarations, name in self._names.items())
        assert "<" not in rules, "matplotlib wrote a style that would end the style sheet"
        return Markup(rules)

    def _rewrite(self, node: ElementTree.Element, short: dict[str, str], *, keep_style: bool) -> None:
        """New ids, where one is used at all; shorter numbers; a class in place of a style."""
        if (own := node.attrib.pop("id", None)) in short:
            node.set("id", short[own])
        for key in (key for key in _REFERRING if key in node.attrib):
            node.set(key, _REFERENCE.sub(lambda found: short.get(found[0], found[0]), node.attrib[key]))
        for key in (key for key in _DRAWN if key in node.attrib):
            node.set(key, _shorter(node.attrib[key]))
        if not keep_style and (style := node.attrib.pop("style", None)):
            declarations = ";".join(
                sorted(part.strip().replace(": ", ":") for part in style.split(";") if part.strip())
            )
            node.set("class", self._names.setdefault(declarations, f"p{len(self._names)}"))


def _strip_namespaces(root: ElementTree.Element) -> None:
    """HTML knows by itself what stands within <svg>."""
    for node in root.iter():
        node.tag = node.tag.rpartition("}")[2]
        node.attrib = {key.rpartition("}")[2]: value for key, value in node.attrib.items()}
        node.tail = None
        if node.tag not in ("text", "tspan", "title"):
            node.text = None


def _references(node: ElementTree.Element) -> list[str]:
    return [name for key in _REFERRING for name in _REFERENCE.findall(node.attrib.get(key, ""))]


def _flat(node: ElementTree.Element) -> list[ElementTree.Element]:
    """The children of a node, without groups that say nothing and definitions that are empty."""
    children: list[ElementTree.Element] = []
    for child in node:
        child[:] = _flat(child)
        if child.tag == "g" and not child.attrib:
            children.extend(child)
        elif child.tag not in ("g", "defs") or len(child):
            children.append(child)
    return children


def _shorter(value: str) -> str:
    """Two decimals, and no more space than numbers need."""
    value = _NUMBER.sub(lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), value)
    return re.sub(r"\s*([MLCQZz])\s*", r"\1", " ".join(value.split()))
