"""Text from outside, made safe for a terminal. Everything that is printed for people passes through `visible`."""

import re

# C0 and C1 controls except line feed and tab, DEL, bidirectional and other invisible format controls, lone surrogates.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """The text with control and bidirectional characters as escapes such as `\\x1b` and `\\u202e`."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text)
