"""Pictures and files inside the page itself, so that none of them lies on the server."""

from base64 import b64encode
from collections.abc import Mapping
from html import escape
from io import BytesIO

from PIL import Image

# What a large screen shows; a phone's photograph has four times as many pixels.
MAX_PX = 1600


def picture_html(pictures: Mapping[str, Image.Image], words: str) -> str:
    """Pictures one below the other; each opens over the whole screen when it is chosen.

    Args:
        pictures: Caption to picture; a caption may be empty.
        words: What each shows, for those who do not see it.

    Example:
        >>> picture_html({"": Image.new("L", (4, 4))}, "a page")[:58]
        '<figure class="seen"><button type="button" title="Full scr'
    """
    return "".join(
        f'<figure class="seen"><button type="button" title="Full screen">'
        f'<img src="{_data_url(picture)}" alt="{escape(words)}"></button>'
        + (f"<figcaption>{escape(caption)}</figcaption>" if caption else "")
        + "</figure>"
        for caption, picture in pictures.items()
    )


def _data_url(picture: Image.Image) -> str:
    shown = picture.convert("RGB")
    is_small = max(shown.size) <= MAX_PX
    shown.thumbnail((MAX_PX, MAX_PX))
    out = BytesIO()
    if is_small:
        shown.save(out, "PNG")
    else:  # a photograph: lossless it would be megabytes
        shown.save(out, "JPEG", quality=85)
    kind = "png" if is_small else "jpeg"
    return f"data:image/{kind};base64,{b64encode(out.getvalue()).decode()}"


def downloads_html(files: Mapping[str, tuple[str, str, bytes]]) -> str:
    """Links that carry their files.

    Args:
        files: What to call it, to its file name, media type and content.
    """
    links = "".join(
        f'<a class="download" download="{escape(name)}" '
        f'href="data:{kind};base64,{b64encode(content).decode()}">Download {escape(title)}</a>'
        for title, (name, kind, content) in files.items()
    )
    return f'<p class="downloads">{links}</p>'
