"""How news pages announce and build what is not the story: headings, class names, pointers and solicitations.

Words only, for many languages; what to cut where is decided in extract.
"""

from __future__ import annotations

import re

HEADINGS: dict[str, tuple[str, ...]] = {
    "en": (
        r"more (?:to read|from|on this|stories|news|in|like this|coverage|articles|headlines|for you)\b.{0,40}",
        r"(?:read|see|watch|explore) (?:more|next|also|this next)(?: (?:on|about|from|stories|news)\b.{0,40})?",
        r"also (?:read|see|on|of interest|in the news)\b.{0,40}",
        r"(?:you|we) (?:may|might)(?: also)? (?:like|be interested in|have missed)",
        r"up next|next (?:story|article|post)|previous (?:story|article|post)|in other news|what to read next",
        r"related(?: (?:articles?|story|stories|news|posts?|content|coverage|links|reading|topics|items|documents))?",
        r"recommended(?: (?:for you|stories|articles|reading|by .{1,30}))?|recommendations",
        r"suggested (?:reading|articles)",
        r"(?:most|trending|popular)(?: (?:read|popular|viewed|shared|now|stories|posts|news|today|articles)){1,2}",
        r"trending|(?:latest|top|other|recent|today's) (?:news|stories|headlines|articles|posts)|editors?'?s? picks?",
        r"don'?t miss|(?:from )?around the web|sponsored(?: content)?|promoted(?: stories)?",
    ),
    "zh": (
        r"(?:相关|相關|延伸|推荐|推薦|更多|拓展|精彩|热门|熱門|最新|其他)"
        r"(?:阅读|閱讀|新闻|新聞|文章|报道|報導|報道|推荐|推薦|内容|內容|资讯|資訊|消息)",
        r"猜你喜[欢歡]的?|[为為]您推[荐薦]|你可能(?:也|还|還)?(?:喜欢|喜歡|感兴趣|感興趣).{0,4}|大家都在看|[热熱][门門]排行|[点點][击擊]排行",
        r"看更多.{0,6}|上一篇|下一篇|编辑推荐|編輯推薦|今日[热熱][点點门門]",
    ),
    "ko": (
        r"(?:관련|추천|인기|주요|다른|최신) ?(?:기사|뉴스|글|콘텐츠)|많이 ?본 ?(?:뉴스|기사)|이 ?시각 ?(?:주요 ?)?뉴스",
        r"함께 ?(?:본|볼만한|읽을) ?(?:기사|뉴스)|이 기사와 함께 .{1,12}",
    ),
    "ja": (
        r"関連(?:する)?(?:記事|ニュース|リンク|キーワード)|[あ合]わせて読みたい|おすすめ(?:の?記事)?|人気(?:の?記事|ランキング)",
        r"アクセスランキング|こちらもおすすめ|新着(?:記事|ニュース)|次の記事|前の記事|ピックアップ|よく読まれている記事|この記事を読んだ人は.{1,20}",
    ),
    "ru": (
        r"читайте (?:также|по теме|ещ[её]|далее)|смотрите также|(?:новости |материалы |статьи |ещ[её] )?по теме",
        r"(?:похожие|главные|другие|последние|популярные|свежие) (?:новости|статьи|материалы)|рекомендуем",
        r"самое (?:читаемое|популярное|важное|интересное)|вам может быть интересно|лента новостей",
    ),
    "uk": (r"читайте (?:також|ще)|дивіться також|(?:схожі|останні|інші) новини|за темою",),
    "es": (
        r"le[ae] también|leer? más|le puede interesar|(?:también )?te puede interesar|lo más (?:leído|visto)",
        r"(?:noticias|artículos|contenidos?|notas) relacionad[oa]s?|relacionad[oa]s?",
        r"(?:más|otras|últimas) noticias|más información|más leídas|recomendad[oa]s?",
    ),
    "pt": (
        r"lei[ae] (?:também|mais)|veja (?:também|mais)|mais (?:lidas|notícias)|saiba mais|últimas notícias",
        r"(?:notícias|matérias|artigos|conteúdos?) relacionad[oa]s?|recomendad[oa]s? para você|você também pode gostar",
    ),
    "it": (
        r"leggi anche|potrebbe interessarti(?: anche)?|(?:articoli|notizie) correlat[ie]",
        r"(?:i )?più letti|ultime notizie",
    ),
    "fr": (
        r"(?:à|a) lire (?:aussi|également|ensuite)|lire (?:aussi|également)|voir aussi|sur le même (?:sujet|thème)",
        r"(?:articles|contenus|sujets) (?:liés|similaires|associés|connexes)|les plus lus|vous aimerez aussi",
        r"plus d'articles|dans la même rubrique|nos recommandations|pour aller plus loin",
    ),
    "de": (
        r"mehr zum thema|lesen sie (?:auch|mehr|hier)|auch interessant|das könnte (?:sie|dich) auch interessieren",
        r"(?:ähnliche|verwandte|weitere|passende|neueste) (?:artikel|beiträge|meldungen|nachrichten|themen)",
        r"meistgelesen(?:e artikel)?|mehr (?:dazu|artikel|aus .{1,30}|von .{1,30})|zum weiterlesen",
    ),
    "nl": (r"lees (?:ook|meer|verder)|meer (?:over|nieuws|lezen)\b.{0,30}|gerelateerd(?:e artikelen)?|meest gelezen",),
    "nordic": (r"läs (?:också|mer|även)|les også|læs også|lue myös|mest lest|mest läst",),
    "pl": (
        r"(?:czytaj|zobacz|przeczytaj) (?:także|też|również|więcej)|powiązane(?: artykuły)?|polecane(?: artykuły)?",
    ),
    "tr": (
        r"(?:[iı]|i̇)lgili (?:haber(?:ler)?|içerikler?|yazılar)|bunlar da ilginizi çekebilir|diğer haberler",
        r"çok okunan(?:lar| haberler)|önerilen(?:ler| haberler)|son haberler|sıradaki haber",
    ),
    "ar": (
        r"اقرأ أيض(?:ا|ًا|اً)|شاهد أيض(?:ا|ًا|اً)|(?:أخبار |مواضيع |مقالات |موضوعات )?ذات صلة",
        r"الأكثر قراءة|المزيد من الأخبار",
    ),
    "fa": (r"(?:مطالب|اخبار) مرتبط|بیشتر بخوانید",),
    "id": (
        r"baca (?:juga|lainnya|selengkapnya)|berita (?:terkait|lainnya|terpopuler)|artikel terkait",
        r"terpopuler|simak juga",
    ),
    "vi": (r"(?:tin|bài(?: viết)?) (?:liên quan|cùng chuyên mục|mới|khác)|xem thêm|đọc thêm|có thể bạn quan tâm",),
    "hi": (r"(?:ये|यह) भी पढ़ें|और पढ़ें|संबंधित (?:खबरें|समाचार|लेख)",),
}
"""What a heading says, alone, when other stories follow; patterns, by language."""

_ANY_HEADING = "|".join(pattern for patterns in HEADINGS.values() for pattern in patterns)
_HEADING = re.compile(_ANY_HEADING, re.IGNORECASE)
_POINTER = re.compile(rf"(?:{_ANY_HEADING})\s*[:：|»>→–—]\s*\S.{{0,200}}", re.IGNORECASE)
_SOLICITATION = re.compile(
    r"(?:sign up (?:for|to)|subscribe (?:to|now)|follow us on|share this|click here to|register (?:now|here)"
    r"|download (?:our|the) app|advertisement|story continues below|all rights reserved).{0,160}",
    re.IGNORECASE,
)
_BUTTON = re.compile(
    r"(?:read|see) more|leer? más|lei[ae] mais|veja mais|saiba mais|lees (?:meer|verder)|meer lezen|läs mer"
    r"|czytaj więcej|lesen sie mehr|xem thêm|đọc thêm|baca selengkapnya|और पढ़ें|看更多",
    re.IGNORECASE,
)
_EDGES = re.compile(r"^[\W_]+|[\W_]+$")

_THING = (
    r"articles?|posts?|stories|story|content|contents|news|links?|items?|box|block|list|widget|wrapper|container|section|module"
    r"|area|panel|cards?|inner|\d+"
)
_NAME = r"(?!(?:.*[-_])?(?:has|with|no|without|is|js|show|hide)[-_])(?:.*[-_])?(?:{})(?:[-_]*(?:" + _THING + r"))*"
_OTHERS = re.compile(
    _NAME.format(
        r"related|recommend(?:ed|ations?|s)?|recirc(?:ulation)?|read[-_]?(?:next|also)|also[-_]?read"
        r"|more[-_]?(?:to[-_]?read|stories|news|articles|from|on|in|like-this|coverage)|most[-_]?(?:read|popular|viewed|shared)"
        r"|you[-_]?may[-_]?(?:also[-_]?)?like|outbrain|taboola|zergnet|dianomi|next[-_]?(?:article|story|up)|up[-_]?next"
        r"|(?:story|news|article|post)s?[-_]?(?:feed|stream|grid|carousel|river)|comments|disqus|tuijian|xgwz|xgyd"
    ),
    re.IGNORECASE,
)
_CHROME = re.compile(
    _NAME.format(
        r"popular|trending|newsletter|signup|subscribe|side[-_]?bar|promo(?:ted)?|sponsored|breadcrumbs?|cookies?|share"
        r"|sharing|social"
    ),
    re.IGNORECASE,
)


def announces_others(text: str, *, is_heading: bool = True) -> bool:
    """Whether words standing alone announce other stories; in no heading, "Read more" is a button of this one."""
    if len(text) > 80:
        return False
    text = _EDGES.sub("", " ".join(text.split())).replace("’", "'")
    return _HEADING.fullmatch(text) is not None and (is_heading or _BUTTON.fullmatch(text) is None)


def points_elsewhere(paragraph: str) -> bool:
    """Whether a paragraph only points to another story ("Read more: …") or asks for something ("Sign up for …")."""
    return _POINTER.fullmatch(paragraph) is not None or _SOLICITATION.fullmatch(paragraph) is not None


def holds_others(names: str) -> bool:
    """Whether an element with these class names and ids is built for other stories."""
    return any(_OTHERS.fullmatch(name) for name in _each(names))


def is_chrome(names: str) -> bool:
    """Whether an element with these class names and ids is for sharing, subscribing and the like, if it is small."""
    return any(_CHROME.fullmatch(name) for name in _each(names))


def _each(names: str) -> list[str]:
    return [name for name in names.split()[:20] if len(name) <= 60]
