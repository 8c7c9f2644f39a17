"""Corpora of our own making: texts in several scripts, with what trips a reader of text up."""

# ruff: noqa: RUF001 - letters that look like others are what it is about

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable, Sequence

WORDS: dict[str, str] = {
    "english": "the a not good bad it's don't U.S. e-mail well-known 42 3.14 NA null None nan x I",
    "french": "été où déjà garçon naïve œuvre l'eau aujourd'hui ÇA À Noël cœur le la mais",
    "german": "Straße STRASSE straße größer Fuß FUẞ Äpfel über öl der die nicht ß Maße Masse",
    "turkish": "İstanbul ISPARTA ılık iyi İİ ıı kötü çok değil Iğdır ŞEKER şeker ğ",
    "greek": "ὈΔΥΣΣΕΎΣ Ὀδυσσεύς ΟΔΟΣ οδος οδός ΣΑΣ σας λόγος ΛΌΓΟΣ και δεν ς Σ",
    "russian": "ёлка ЁЛКА дом ДОМ не хорошо плохо й Й привет мир щука объём и",
    "chinese": "你好 世界 不好 很好 好 天气 「今天」 中文，字 。 一二三 漢字 汉字 好好",
    "japanese": "今日は ｶﾀｶﾅ カタカナ ひらがな 良い 悪い ー ㍿ ①② Ａｂｃ が か\u3099",
    "korean": "한국어 좋아요 나쁘다 각 \u1100\u1161\u11a8 ㄱ 가 아니 매우",
    "arabic": "مرحبا سيئ جيد ليس مُحَمَّد لا العربية ٤٢ ﷺ كِتَاب",
    "hindi": "नमस्ते अच्छा बुरा नहीं कि क़ लड़का १२ हिन्दी",
    "thai": "สวัสดี ดี ไม่ดี มาก ภาษาไทย น้ำ",
    "emoji": "😀 😡 👍 👍🏽 👨‍👩‍👧 🇩🇪 ok ❤️ ❤ :-) 1️⃣ good😀bad 🙂",
    "marks": "mark e\u0301 é a\u0323\u0307 ạ\u0307 n\u0303 A\u030a \u00c5 Z\u0351\u036ba\u030d \u0301",
    "punctuation": '"quoted" a,b ; \t -- ... (x) [y] {z} \\ / @me #tag 50% $5 a_b __ *',
    "code": "def f(x): return x+1 if a==b else None <br/> http://a.b/c?d=e&f camelCase snake_case 0x1F",
    "spaces": "many blanks a\u00a0b \u2003 \u200b c\u200bd \u3000 e\u2028f \x1f g\x85h \ufeff",
    "ligatures": "ﬁne ﬂow ﬀ ǅ Ǆ ǆ ŉ ½ ⅷ ª ſ ﬆ K Å µ μ Ω Ω",
    "digits": "1 22 333 1,000 ٣ ५ ² ⅓ 1e5 -7 +3 0.5 v2.0 2024-01-01",
    "mixed": "Straße İ ΟΔΟΣ дом 水 😀 é e\u0301 NA good not",
}


def texts(script: str, n: int = 90, seed: int = 0) -> list[str]:
    """Mostly a few words; some texts are empty, of blanks, of one word, or of one word many times."""
    rng = random.Random(f"{script} {seed}")
    words = WORDS[script].split(" ")
    odd: Sequence[Callable[[], str]] = (
        lambda: "",
        lambda: " \n ",
        lambda: rng.choice(words),
        lambda: " ".join([rng.choice(words)] * 1000),
        lambda: "".join(rng.choices(words, k=6)),
        lambda: unicodedata.normalize("NFD", " ".join(rng.choices(words, k=8))),
        lambda: " ".join(rng.choices(words, k=5)).upper(),
    )
    found = [make() for make in odd]
    while len(found) < n:
        joint = rng.choice([" ", " ", "  ", "\n", ", "])
        found.append(joint.join(rng.choices(words, k=rng.randint(1, 14))))
    rng.shuffle(found)
    return found


def labels(found: Sequence[str], n: int = 3) -> list[str]:
    """By what a text is made of, so that there is something to learn; every label occurs."""
    named = [f"label {sum(map(ord, text[:7])) % n}" for text in found]
    return [*(f"label {k}" for k in range(n)), *named[n:]]
