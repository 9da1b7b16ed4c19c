"""What the browser shows when it comes back from TikTok: plain pages that load nothing from anywhere."""

from __future__ import annotations

from dataclasses import dataclass

HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    # the address holds the code
    "Referrer-Policy": "no-referrer",
}
_HTML = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<style>
  :root {{ color-scheme: light dark }}
  body {{ font: 1.1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 18vh auto; padding: 0 1.5rem }}
  h1 {{ font-size: 1.6rem }}
</style></head>
<body><main><h1>{title}</h1><p>{text}</p></main></body></html>
"""


@dataclass(frozen=True)
class Page:
    """
    One page.

    :param status: of HTTP
    :param title: of the page
    :param text: one or two sentences; nothing of a request may stand in it
    """

    status: int
    title: str
    text: str

    def html(self) -> bytes:
        """Give the page."""
        return _HTML.format(title=self.title, text=self.text).encode()


ALLOWED = Page(
    200, "Thank you", "The app was allowed. You may close this window, and go back to the terminal."
)
NOT_ALLOWED = Page(
    200,
    "Nothing was changed",
    "The app was not allowed. You may close this window; the terminal says how to try again.",
)
FOREIGN = Page(
    400,
    "This is not the login that is waiting",
    "Perhaps it belongs to an earlier one. Open the address that the terminal has shown last.",
)
NOT_HERE = Page(404, "There is nothing here", "Only the answer of the login that is waiting is taken.")
