"""Folding, addresses, language, HTML, sentences, likeness, zones: what each promises, on any text."""

import time
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.domain.model import Entry
from service.domain.text import (
    Zone,
    canonical_url,
    detect_language,
    fold,
    html_to_text,
    likeness,
    segments,
    sentences,
    sketch,
)

ANY_TEXT = st.text(st.characters(), max_size=400)
PIECES = st.lists(
    st.sampled_from(
        ["bans ", "禁止", "가", "\u1112\u1161\u11ab", "e\u0301", "ﬁ", "ß", "İ", "\u200b", "\u202e", "Ａ", "…", "۔",
         "\ud800", "🇨🇳", "ก", "क्षि", "\n", ". ", "。", "U.S. "]
    ),
    max_size=60,
).map("".join)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("China BANS", "china bans"),
        ("“Krypto—Straße”", '"krypto-strasse"'),
        ("ｂｉｔｃｏｉｎ：ＥＴＦ", "bitcoin:etf"),
        ("stable\u00adcoin\u200b", "stablecoin"),
        ("cafe\u0301", "café"),
        ("\u1112\u1161\u11ab국", "한국"),
        ("İstanbul ve ılık", "istanbul ve ilik"),
        ("учёт", "учет"),
        ("أصدرَ", "اصدر"),
        ("", ""),
    ],
)
def test_fold_makes_comparable(text, folded):
    assert fold(text).text == folded


def test_origin_leads_back():
    text = "“ﬁnal\u200b rule” for cafe\u0301s"
    folded = fold(text)
    for word, shown in [("final", "ﬁnal"), ("rule", "rule"), ("cafés", "cafe\u0301s")]:
        at = folded.text.index(word)
        start, end = folded.origin(at, at + len(word))
        assert text[start:end].strip("\u200b") == shown


@given(ANY_TEXT | PIECES)
def test_fold_spans_are_valid_and_ordered(text):
    folded = fold(text)
    previous = 0
    for at in range(len(folded.text)):
        start, end = folded.origin(at, at + 1)
        assert 0 <= start < end <= len(text)
        assert start >= previous
        previous = start
    folded.text.encode()  # no half characters are left


@given(ANY_TEXT | PIECES)
def test_fold_is_the_same_in_any_company(text):
    """Whether or not something beside it moves the offsets, and so takes the text through the long way."""
    alone, beside = fold(f". {text}"), fold(f"ß. {text}")
    assert beside.text == "ss" + alone.text
    for at in range(len(alone.text)):
        start, end = alone.origin(at, at + 1)
        first, last = beside.origin(at + 2, at + 3)
        assert first - 1 <= start < end <= last - 1  # in the long way a letter and its marks are one


@given(ANY_TEXT | PIECES)
def test_fold_of_nfkc_text_is_stable(text):
    once = fold(text).text
    assert unicodedata.is_normalized("NFKC", once) or fold(once).text == fold(fold(once).text).text


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("HTTPS://Example.COM:443/a/?utm_source=x&b=2&a=1#top", "https://example.com/a?a=1&b=2"),
        ("http://example.com/story?fbclid=1", "https://example.com/story"),
        ("https://amp.example.com/story/amp/", "https://www.example.com/story"),
        ("https://example-com.cdn.ampproject.org/c/s/example.com/story", "https://example.com/story"),
        ("https://example.com:8443/", "https://example.com:8443/"),
        ("https://example.com", "https://example.com/"),
        ("https://[2001:db8::1]/x", "https://[2001:db8::1]/x"),
        ("tag:example.com,2024:1", "tag:example.com,2024:1"),
        ("https://example.com:99999/", "https://example.com:99999/"),
        ("  ", ""),
    ],
)
def test_canonical_url(url, canonical):
    assert canonical_url(url) == canonical


@example(url="?\ud800")  # half a character
@example(url="http://a.example/?\ud800=\udfff")
@given(ANY_TEXT)
def test_canonical_url_never_raises_and_settles(url):
    once = canonical_url("https://example.com/" + url)
    assert canonical_url(canonical_url(once)) == canonical_url(once)


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("The central bank said on Wednesday that transactions are not authorised.", "en"),
        ("中国人民银行等十部门发布通知，虚拟货币相关业务活动属于非法金融活动", "zh-Hans"),
        ("金管會預告虛擬資產服務法草案，將送立法院審議", "zh-Hant"),
        ("金融庁は暗号資産の規制を強化する方針を固めた", "ja"),
        ("金融庁、暗号資産規制改正案提出", "ja"),
        ("個人情報保護法改正案を閣議決定", "ja"),
        ("금융위원회는 가상자산 거래소에 행정지도를 보냈다", "ko"),
        ("Банк России опубликовал проект указания", "ru"),
        ("Національний банк оприлюднив правила для ринку", "uk"),
        ("El Congreso aprobó la ley que regula los activos digitales", "es"),
        ("A Câmara dos Deputados aprovou o projeto de lei nesta quarta-feira", "pt"),
        ("Le Parlement a adopté la loi sur les actifs numériques mercredi", "fr"),
        ("Der Bundestag hat das Gesetz am Freitag beschlossen", "de"),
        ("Kripto varlık hizmet sağlayıcıları için yeni düzenleme yürürlüğe girdi", "tr"),
        ("Chính phủ ban hành nghị quyết thí điểm thị trường tài sản mã hóa", "vi"),
        ("أصدر المصرف المركزي قواعد جديدة لترخيص الشركات", "ar"),
        ("ก.ล.ต. ออกประกาศใหม่เกี่ยวกับสินทรัพย์ดิจิทัล", "th"),
        ("भारतीय रिजर्व बैंक ने चेतावनी दी", "hi"),
    ],
)
def test_detect_language(text, lang):
    assert detect_language(text) == lang


def test_the_hint_decides_only_what_the_text_leaves_open():
    assert detect_language("12 345", "es-MX") == "es"
    assert detect_language("台北", "zh-TW") == "zh-Hant"
    assert detect_language("税制改正大綱決定", "ja") == "ja"
    assert detect_language("人民银行发布公告", "ja") == "zh-Hans"
    assert detect_language("Банк России", "en-US") == "ru"
    assert detect_language("", None) == "en"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One &amp; two</p><p>three<br>four</p>", "One & two\n\nthree\n\nfour"),
        ("plain < 5 and > 3", "plain < 5 and > 3"),
        ("<script>alert(1)</script><b>bold</b> word", "bold word"),
        ("<ul><li>a</li><li>b</li></ul>", "a\n\nb"),
        ("<p>broken <a href='x", "broken"),
    ],
)
def test_html_to_text(html, text):
    assert html_to_text(html) == text


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("The U.S. SEC acted. Mr. Lee, of No. 5, agreed.", 2),
        ("央行发布通知。即日生效！", 2),
        ("金融庁は「方針だ。」と述べた。以上。", 3),
        ("금융위는 19일 밝혔다. 시행은 내년이다.", 2),
        ("Выручка 120 млн. рублей. Закон принят.", 2),
        ("One\n\nTwo", 2),
        ("", 0),
    ],
)
def test_sentences(text, count):
    assert len(sentences(text)) == count


@given(ANY_TEXT | PIECES)
def test_sentences_are_apart_and_in_order(text):
    end_before = 0
    for start, end in sentences(text):
        assert end_before <= start < end <= len(text)
        assert text[start:end] == text[start:end].strip()
        end_before = end


def test_likeness_of_copies_and_strangers():
    text = "Lawmakers approved the bill on Thursday after a debate that lasted until midnight, officials said."
    assert likeness(sketch(text), sketch(text.upper())) == 1
    assert likeness(sketch(text), sketch(text + " More later.")) > 0.7
    assert likeness(sketch(text), sketch("央行发布关于虚拟货币的通知，即日起生效")) == 0
    assert likeness(sketch(""), sketch("")) == 0
    assert len(sketch(text)) <= 32


def test_zones():
    entry = Entry(
        id="1",
        title="A title. And more",
        summary="The lead.",
        content="First.\n\nSecond.\n\nThird.\n\nMore to Read\nAnother story\n\nIts teaser.",
    )
    zones = [(s.field, getattr(entry, s.field)[s.start : s.end], s.zone) for s in segments(entry, {"more to read"})]
    assert [z for z in zones if z[0] == "title"] == [
        ("title", "A title.", Zone.TITLE),
        ("title", "And more", Zone.TITLE),
    ]
    assert ("summary", "The lead.", Zone.LEAD) in zones
    assert ("content", "First.", Zone.BODY) in zones
    assert [text for _, text, zone in zones if zone is Zone.APART] == ["More to Read", "Another story", "Its teaser."]


def test_the_first_paragraphs_lead_where_there_is_no_summary():
    zones = [s.zone for s in segments(Entry(id="1", title="T", content="One.\n\nTwo.\n\nThree.\n\nFour."))]
    assert zones == [Zone.TITLE, Zone.LEAD, Zone.LEAD, Zone.BACKGROUND, Zone.BACKGROUND]


@pytest.mark.parametrize("piece", ["a", ".\n", "e\u0301\u200b", "\u0301", "<b>"])
def test_five_megabytes_take_bounded_time(piece):
    text = piece * (5_000_000 // len(piece))
    begun = time.process_time()
    fold(text)
    sentences(text)
    sketch(text)
    html_to_text(text)
    detect_language(text)
    assert time.process_time() - begun < 60


@given(
    st.from_regex(
        r"https?://(amp\.|[a-z0-9.-]{1,9}\.)(gov|example)(/amp|\.amp|/[A-Za-z0-9._~%-]{0,8}){0,4}(\.html)?/?",
        fullmatch=True,
    )
)
def test_a_plain_address_is_read_as_the_others_are(url: str) -> None:
    assert canonical_url(url) == canonical_url(f"{url}#")  # with a fragment it is not plain any more
