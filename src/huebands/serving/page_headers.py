"""Headers of pages: what a browser may do with them."""


def policy(sources: dict[str, str]) -> str:
    """A content security policy that allows nothing but these sources."""
    strict = {"default-src": "'none'", "base-uri": "'none'", "frame-ancestors": "'none'"}
    return "; ".join(f"{name} {source}" for name, source in (strict | sources).items())


# Everything comes from this host, and nothing goes to another.
PAGE_HEADERS = {
    "Content-Security-Policy": policy(
        {
            "script-src": "'self'",
            "style-src": "'self'",
            "img-src": "'self' blob:",
            "connect-src": "'self'",
            "form-action": "'self'",
        }
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # browsers ask whether a file has changed: all files change with the version
}
