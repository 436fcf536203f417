"""English names of languages by their codes, those that Whisper knows."""

from collections.abc import Collection

_PAIRS = """
af Afrikaans, am Amharic, ar Arabic, as Assamese, az Azerbaijani, ba Bashkir, be Belarusian, bg Bulgarian, bn Bengali,
bo Tibetan, br Breton, bs Bosnian, ca Catalan, cs Czech, cy Welsh, da Danish, de German, el Greek, en English,
es Spanish, et Estonian, eu Basque, fa Persian, fi Finnish, fo Faroese, fr French, gl Galician, gu Gujarati, ha Hausa,
haw Hawaiian, he Hebrew, hi Hindi, hr Croatian, ht Haitian Creole, hu Hungarian, hy Armenian, id Indonesian,
is Icelandic, it Italian, ja Japanese, jw Javanese, ka Georgian, kk Kazakh, km Khmer, kn Kannada, ko Korean, la Latin,
lb Luxembourgish, ln Lingala, lo Lao, lt Lithuanian, lv Latvian, mg Malagasy, mi Maori, mk Macedonian, ml Malayalam,
mn Mongolian, mr Marathi, ms Malay, mt Maltese, my Burmese, ne Nepali, nl Dutch, nn Nynorsk, no Norwegian, oc Occitan,
pa Punjabi, pl Polish, ps Pashto, pt Portuguese, ro Romanian, ru Russian, sa Sanskrit, sd Sindhi, si Sinhala,
sk Slovak, sl Slovenian, sn Shona, so Somali, sq Albanian, sr Serbian, su Sundanese, sv Swedish, sw Swahili, ta Tamil,
te Telugu, tg Tajik, th Thai, tk Turkmen, tl Tagalog, tr Turkish, tt Tatar, uk Ukrainian, ur Urdu, uz Uzbek,
vi Vietnamese, yi Yiddish, yo Yoruba, yue Cantonese, zh Chinese
"""
_NAMES = {code: name for code, _, name in (pair.partition(" ") for pair in " ".join(_PAIRS.split()).split(", "))}
_CODES = {name.casefold(): code for code, name in _NAMES.items()}


def name(code: str) -> str:
    """Return the English name of a language; of an unknown code the code.

    >>> name("de"), name("tlh")
    ('German', 'tlh')
    """
    return _NAMES.get(code, code)


def code(given: object) -> str | None:
    """Return the code of a language given by its code or its English name; None for anything else.

    >>> code("German"), code("de"), code("de-AT"), code(3)
    ('de', 'de', 'de', None)
    """
    if not isinstance(given, str):
        return None
    plain = given.strip().casefold()
    short = plain.replace("_", "-").partition("-")[0]
    return _CODES.get(plain, short if short in _NAMES else None)


def foreign(given: object, known: Collection[str]) -> str | None:
    """Return the code of a language that is not among those known; None if it is, or if either is unknown.

    >>> foreign("German", ["en"]), foreign("en", ["en"]), foreign("en", []), foreign(None, ["en"])
    ('de', None, None, None)
    """
    spoken = code(given)
    return spoken if spoken and known and spoken not in known else None
