"""Sites that let one take their videos only under terms a person must have read."""

from moviestrip.errors import QuarantineError

# Every domain a site serves its pages or its videos from, under the name that accepts its terms.
SITES = {
    "youtube.com": ("youtube.com", "youtu.be", "youtube-nocookie.com", "googlevideo.com"),
    "instagram.com": ("instagram.com", "cdninstagram.com"),
    "tiktok.com": ("tiktok.com", "tiktokcdn.com", "tiktokv.com"),
    "facebook.com": ("facebook.com", "fb.watch", "fbcdn.net"),
    "x.com": ("x.com", "twitter.com", "t.co", "twimg.com"),
    "vimeo.com": ("vimeo.com", "vimeocdn.com"),
}
ALSO_KNOWN_AS = {"twitter.com": "x.com", "youtu.be": "youtube.com"}


def site_of(host: str) -> str | None:
    """The site whose terms a host is under; none where no terms are known."""
    for site, domains in SITES.items():
        if any(host == domain or host.endswith(f".{domain}") for domain in domains):
            return site
    return None


def require_terms(host: str, accepted: tuple[str, ...]) -> None:
    """Refuse a host whose terms were not accepted in the configuration."""
    site = site_of(host)
    if site is not None and site not in {ALSO_KNOWN_AS.get(name, name) for name in accepted}:
        raise QuarantineError(
            "refused", f"{host} serves under terms: read them, then accept its terms: fetch.terms_accepted: [{site}]"
        )
