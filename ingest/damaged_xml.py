"""Splits an XML catalogue (QuakeML, SC3ML) into documents of one event each, so that a damaged event costs itself and not its file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lxml import etree  # type: ignore[import-untyped]

NOT_FINITE = frozenset({"nan", "inf", "-inf", "+inf", "infinity", "-infinity"})


def one_event_documents(body: bytes) -> Iterator[bytes]:
    """Yield for each `event` element of a document the document without the other events; nothing if the body is no XML.

    Numbers that are not finite become empty, which readers take for missing. What stands beside the events (the origins of SC3ML) stays in
    each document.
    """
    root = _root(body)
    if root is None:
        return
    for element in root.iter(etree.Element):
        if element.text and element.text.strip().lower() in NOT_FINITE:
            element.text = None
    home, events = _events(root)
    for event in events:
        home.remove(event)
    for event in events:
        home.append(event)
        yield etree.tostring(root)
        home.remove(event)


def count_events(body: bytes) -> int:
    """Return the number of `event` elements of a document; 0 if the body is no XML."""
    root = _root(body)
    return 0 if root is None else len(_events(root)[1])


def _root(body: bytes) -> Any:
    """Return the root of a document; None if the body is no XML."""
    try:
        return etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError:
        return None


def _events(root: Any) -> tuple[Any, list[Any]]:
    """Return the element that holds the events, and the events."""
    homes = (element for element in root.iter(etree.Element) if etree.QName(element).localname.lower() == "eventparameters")
    home = next(homes, root)
    return home, [element for element in home.iterchildren(etree.Element) if etree.QName(element).localname == "event"]
