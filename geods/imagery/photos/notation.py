"""Angles, headings and dates as programs and people write them.

Values without a meaning, or with two, are refused.

Positions: decimal degrees, `36 deg 48' 14.54" S` (exiftool), `36°48'14.54"S`, `36:48:14.54 S`, `36,48.2423S` (XMP),
`S36 48.2423`. Each part but the last is a whole number, minutes and seconds are below 60, a sign and a letter must not
contradict each other.
"""

import contextlib
import datetime
import re

_NUMBER = r"\d+(?:\.\d*)?|\.\d+"
_SEPARATOR = r"\s*(?:°|º|˚|deg(?:rees?)?|d|'|\u2032|\u2019|min|m|\"|\u2033|\u201d|''|sec|s|:|,|\s)\s*"
_ANGLE = re.compile(
    rf"(?P<before>[NSEW])?\s*(?P<sign>[-+])?\s*(?P<first>{_NUMBER})"
    rf"(?:{_SEPARATOR}(?P<second>{_NUMBER}))?(?:{_SEPARATOR}(?P<third>{_NUMBER}))?"
    r"\s*(?:°|º|˚|deg(?:rees?)?|'|\u2032|\u2019|min|''|\"|\u2033|\u201d|sec)?\s*(?P<after>[NSEW]|north|south|east|west)?",
    re.IGNORECASE | re.ASCII,
)
_DECIMAL_COMMA = re.compile(r"\s*[-+]?\d+,\d+\s*", re.ASCII)
_LETTERS = {"n": "N", "north": "N", "s": "S", "south": "S", "e": "E", "east": "E", "w": "W", "west": "W"}
_UNKNOWN = {"", "nan", "none", "null", "n/a", "na", "nil", "undef", "undefined", "unknown", "-", "--", "?"}
_HEADING = re.compile(
    rf"(?P<value>[-+]?(?:{_NUMBER}))\s*(?:°|º|˚|deg(?:rees?)?)?\s*(?:[TM]|true|magnetic)?", re.IGNORECASE | re.ASCII
)
_FRACTION = re.compile(r"(\d+)/(\d+)", re.ASCII)
_COMPASS = ("n", "nne", "ne", "ene", "e", "ese", "se", "sse", "s", "ssw", "sw", "wsw", "w", "wnw", "nw", "nnw")
_POINTS = {name: number * 22.5 for number, name in enumerate(_COMPASS)}
_MONTH = re.compile(r"(\d{4})[-:/._](\d{1,2})(?:\D|$)", re.ASCII)
_COMPACT = re.compile(r"(\d{4})(\d{2})\d{2}(?:[T_ ]?\d{4,6}Z?)?", re.ASCII)
_DAY_FIRST = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})(?:[ T].*)?", re.ASCII)
_NAMED = re.compile(
    r"(?:(?:\w{3,9}, )?(\d{1,2}) ([A-Za-z]{3,9})\.?,? (\d{4})|([A-Za-z]{3,9})\.? (\d{1,2}), (\d{4}))(?:\W.*)?", re.ASCII
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_EPOCH = re.compile(r"(\d{9,10}|\d{12,13})(?:\.\d*)?", re.ASCII)


def is_unknown(text: str) -> bool:
    """Returns whether a program writes this for a value that it does not know."""
    return text.strip().lower() in _UNKNOWN


def hemisphere(text: str) -> str:
    """Returns N, S, E or W of a letter or an English word; empty for an empty text.

    Raises:
        ValueError: If it is something else.
    """
    if is_unknown(text) and text.strip().lower() not in _LETTERS:
        return ""
    if (letter := _LETTERS.get(text.strip().lower())) is None:
        raise ValueError(f"{text!r} is not a hemisphere")
    return letter


def angle_deg(text: str, letters: str, reference: str | None = None) -> float:
    """Returns a latitude or longitude in degrees; the range is not checked.

    Args:
        text: The angle.
        letters: Letters of the positive and the negative hemisphere, "NS" or "EW".
        reference: What a column of hemispheres says; None if there is none.

    Raises:
        ValueError: If it is no angle, has two meanings, or contradicts itself or the reference.
    """
    # An s for seconds before the letter of a hemisphere is not the south.
    text = re.sub(r"(?<=\d)s(?=\s*[NSEW]$)", "", text.strip().replace("\N{MINUS SIGN}", "-"), flags=re.IGNORECASE)
    if _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    match = _ANGLE.fullmatch(text)
    try:
        value, noted = (_of_parts(match), match["before"] or match["after"] or "") if match else (float(text), "")
    except ValueError:
        raise ValueError(f"{text!r} is not an angle") from None
    if match and match["before"] and match["after"]:
        raise ValueError(f"{text!r} names two hemispheres")
    named = {letter for letter in (hemisphere(noted), hemisphere(reference or "")) if letter}
    if len(named) > 1 or not named <= set(letters):
        raise ValueError(f"{text!r} is not in hemisphere {' or '.join(sorted(named))}")
    is_negative = text.startswith("-") or (match is not None and match["sign"] == "-")
    if named and is_negative and value:
        raise ValueError(f"{text!r} has a sign and a hemisphere, {named.pop()}")
    if not named and reference is not None and not is_negative and value:
        raise ValueError(f"{text!r} has no hemisphere in its column")
    return -value if named == {letters[1]} and value else value


def heading_deg(text: str) -> float | None:
    """Returns a heading in degrees, 0 <= h < 360; None for an unknown one.

    Args:
        text: A number from -180 to 360 ("90", "90 deg", "90 T"), a fraction ("2715/10"), or a point of the compass.

    Raises:
        ValueError: If it is something else.
    """
    # Nearly all are plain numbers, which are read in a fifth of the time.
    with contextlib.suppress(ValueError):
        if -180 <= (plain_deg := float(text)) <= 360:
            return round(plain_deg, 6) % 360
    word = text.strip().lower()
    if is_unknown(word):
        return None
    if word in _POINTS:
        return _POINTS[word]
    if (fraction := _FRACTION.fullmatch(word)) and int(fraction[2]):
        value = int(fraction[1]) / int(fraction[2])
    elif fraction:
        return None
    else:
        match = _HEADING.fullmatch(word)
        plain = word.replace(",", ".") if _DECIMAL_COMMA.fullmatch(word) else word
        value = float(match["value"]) if match else float(plain)
    if not -180 <= value <= 360:
        raise ValueError(text)
    return round(value, 6) % 360


def month(text: str) -> str | None:
    """Returns a date as "YYYY-MM"; None for an unknown one.

    Args:
        text: A date or time that begins with year and month, names the month, or has a day above 12 before or after the
            month; or seconds or milliseconds since 1970.

    Raises:
        ValueError: If it is something else, or has two meanings (5/6/2014).
    """
    text = text.strip()
    # Cameras whose clock was never set write zeros.
    if is_unknown(text) or (text[:4] == "0000" and not text.strip("0:-/ T")):
        return None
    if match := _EPOCH.fullmatch(text):
        seconds = int(match[1]) / (1000 if len(match[1]) > 10 else 1)
        return f"{datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc):%Y-%m}"
    if match := _MONTH.match(text) or _COMPACT.fullmatch(text):
        year, number = match[1], int(match[2])
    elif match := _DAY_FIRST.fullmatch(text):
        year, (low, high) = match[3], sorted((int(match[1]), int(match[2])))
        if not (low == high or 12 < high <= 31):
            raise ValueError(text)
        number = low
    elif (match := _NAMED.fullmatch(text)) and (match[2] or match[4])[:3].lower() in _MONTHS:
        year, number = match[3] or match[6], _MONTHS.index((match[2] or match[4])[:3].lower()) + 1
    else:
        raise ValueError(text)
    if not 1 <= number <= 12 or year == "0000":
        raise ValueError(text)
    return f"{year}-{number:02d}"


def _of_parts(match: re.Match[str]) -> float:
    """Returns degrees, minutes and seconds as degrees, with the sign.

    Raises:
        ValueError: If a part but the last has a fraction, or minutes or seconds are 60 or more.
    """
    parts = [part for part in (match["first"], match["second"], match["third"]) if part is not None]
    if any("." in part and part.rstrip("0")[-1] != "." for part in parts[:-1]) or any(
        float(part) >= 60 for part in parts[1:]
    ):
        raise ValueError(match[0])
    value = sum(float(part) / 60**power for power, part in enumerate(parts))
    value = round(value, 9) if len(parts) > 1 else value
    return -value if match["sign"] == "-" and value else value
