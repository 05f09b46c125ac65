"""What a reward reads: the text of a completion, in whichever form TRL hands it over."""

from collections.abc import Mapping
from typing import Any


def completion_text(completion: Any) -> str:
    """The text of a string or of a list of chat messages; "" of anything else.

    Of messages, the assistant's are joined; a message's content is a string or a list of parts
    of which those with a `text` count.

    Example:
        >>> completion_text([{"role": "assistant", "content": "<think>"}])
        '<think>'
    """
    if isinstance(completion, str):
        return completion
    if not isinstance(completion, (list, tuple)):
        return ""
    messages = [message for message in completion if isinstance(message, Mapping)]
    spoken = [m for m in messages if m.get("role", "assistant") == "assistant"]
    return "".join(_content(message.get("content")) for message in spoken)


def _content(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, (list, tuple)):
        return ""
    texts = [part.get("text") for part in content if isinstance(part, Mapping)]
    return "".join(text for text in texts if isinstance(text, str))
