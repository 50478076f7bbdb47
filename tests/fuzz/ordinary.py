"""RSS 2.0 documents as most publishers write them, with now and then a field that they should not have written so.

Items in the usual form are read without feedparser, so these documents are made of what decides whether they may be.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

PREFIXES = (
    ("content", "http://purl.org/rss/1.0/modules/content/"),
    ("dc", "http://purl.org/dc/elements/1.1/"),
    ("media", "http://search.yahoo.com/mrss/"),
    ("slash", "http://purl.org/rss/1.0/modules/slash/"),
    ("wfw", "http://wellformedweb.org/CommentAPI/"),
)
TEXTS = (
    "Bank of Ruritania raises rate", "Rates &amp; reserves", "AT&T fined", "A &lt;b&gt;bold&lt;/b&gt; step", "", " ",
    "Preis f\u00fcr Gas", "caf\u00c3\u00a9", "\u4e2d\u56fd\u7981\u6b62", "It&#8217;s law", "&#x201c;No&#x201d;",
    "&#150; dash", "x \u0096 y", "a\u00a0b", "5 < 6", "&nbsp;", "&amp;nbsp;", "&amp;amp;", "&#0;", "&#13;", "&#xD800;",
    "line\r\nbreak", "two\nlines", "]]>", "&#195;&#169;", "\ufeffmark", "\u202eback", "soft\u00adhyphen",
    "&quot;said&quot; &apos;he&apos;", "\u2003wide\u2003",
)  # fmt: skip
CDATA = (
    "<p>The office <a href='/x'>said</a> so.</p>", "it&#8217;s", "&amp; &nbsp; &copy;", "&#150;", "&#0; &#xFFFE;", "",
    "a ]] b", "<!-- note -->", "<item>", "caf\u00c3\u00a9", "  spaces  ", "&#39 open", "\u0085", "<script>x()</script>",
)  # fmt: skip
LINKS = (
    "https://a.example/1", "http://a.example/a?b=1&amp;c=2", "https://a.example/a?b=1&amp;lang;=en", "/relative", "",
    "https:///a.example/x", "HTTP://A.example/", "https://a.example/../b", "javascript:alert(1)", "https://a.example:8/",
    " https://a.example/s ", "https://a.example/a b", "https://\u00fc.example/", "https://a.example/%20#f", "http://[::1]/x",
    "https://a.example", "https://a.example?x", "https://a.example:0/", "https://a.example/'q'", "//a.example/x",
)  # fmt: skip
DATES = (
    "Mon, 02 Mar 2026 12:00:00 GMT", "Mon, 2 Mar 2026 12:00:00 +0530", "Tue, 03 Mar 2026 23:59:59 -0800", "yesterday",
    "Sat, 31 Feb 2026 12:00:00 GMT", "Mon, 02 Mar 26 12:00:00 GMT", "2026-03-02T12:00:00Z",
    "Mon, 02 Mar 2026 24:00:00 GMT", "Mon, 02 Mar 2026 12:00 EST", "Mon, 02 Mar 1969 12:00:00 GMT",
    "Fri, 31 Dec 2099 23:00:00 -0200", "", "02 Mar 2026",
    " Mon, 02 Mar 2026 12:00:00 UTC ", "Thu, 01 Jan 0000 00:00:00 +0000", "2026\u5e743\u67082\u65e5 10:00",
)  # fmt: skip
OTHERS = (
    "<enclosure url='https://a.example/a.mp3' length='1' type='audio/mpeg'/>", "<media:content url='x' url='y'/>",
    "<media:thumbnail url='https://a.example/a.png' />", "<media:content url='a'><media:title>T</media:title>"
    "</media:content>", "<comments>https://a.example/c</comments>", "<slash:comments>0</slash:comments>",
    "<x:y>z</x:y>", "stray", "<!-- c -->",
    "<source url='https://b.example/'>B</source>", "<dc:date>2026-03-02</dc:date>", "<media:title>Other</media:title>",
)  # fmt: skip
FIELDS = ("title", "link", "guid", "pubDate", "description", "content:encoded", "category", "dc:creator", "other")


def ordinary(rng: Random) -> bytes:
    """A document of three to twelve items, most of them alike, of which some hold something odd."""
    shape = [name for name in FIELDS if rng.random() < 0.7]
    odd = rng.choice((0.0, 0.0, 0.03, 0.2))
    items = "".join(_item(number, shape, odd, rng) for number in range(rng.randrange(3, 13)))
    declared = "".join(f' xmlns:{name}="{uri}"' for name, uri in PREFIXES if rng.random() > odd)
    head = rng.choice(("<title>Office</title><link>https://a.example/</link><language>en</language>", "", "<image>"))
    head = head if rng.random() < odd else "<title>Office</title>"
    return f'<rss version="2.0"{declared}><channel>{head}{items}</channel></rss>'.encode("utf-8", "replace")


def _item(number: int, shape: list[str], odd: float, rng: Random) -> str:
    names = shape if rng.random() > odd else rng.sample(FIELDS, rng.randrange(len(FIELDS)))
    names = names if rng.random() > odd else [*names, rng.choice(FIELDS)]
    return f"<item>{''.join(_field(name, number, odd, rng) for name in names)}</item>{rng.choice(('', chr(10)))}"


def _field(name: str, number: int, odd: float, rng: Random) -> str:
    def one_of(usual: Sequence[str], unusual: Sequence[str]) -> str:
        return rng.choice(unusual if rng.random() < odd else usual)

    match name:
        case "link":
            return f"<link>{one_of([f'https://a.example/{number}?a=1&amp;b=2'], LINKS)}</link>"
        case "guid":
            said = one_of([f"https://a.example/{number}", f"n-{number}"], LINKS + TEXTS)
            attribute = one_of(["", " isPermaLink='false'", ' isPermaLink="true"'], [" ispermalink='FALSE'", " a='b'"])
            return f"<guid{attribute}>{said}</guid>"
        case "pubDate":
            return f"<pubDate>{one_of(DATES[:3], DATES)}</pubDate>"
        case "category":
            domain = one_of(["", " domain='x'"], [" domain='a&amp;b' term='t'"])
            return "".join(f"<category{domain}>{rng.choice(TEXTS[:2])}</category>" for _ in range(rng.randrange(1, 4)))
        case "dc:creator":
            return f"<dc:creator>{one_of(['Ann Other'], (*TEXTS, 'a@b.example (Ann)', '(Ann)'))}</dc:creator>"
        case "other":
            return one_of(OTHERS[:1], OTHERS)
    text, section = one_of(TEXTS[:2], TEXTS), one_of(CDATA[:2], CDATA)
    return f"<{name}>{text if rng.random() < 0.5 else f'<![CDATA[{section}]]>'}</{name}>"
