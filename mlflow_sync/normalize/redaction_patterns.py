"""How secrets and personal data look, and what only looks like them.

No pattern may take more than linear time on a hostile text of 100,000 characters: what
follows a repetition is bounded, or begins only where no repetition can.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from mlflow_sync.normalize.text import cached_by_key, fold


class Secret(NamedTuple):
    """A secret spoils the whole text: the rest may belong to it."""

    kind: str
    regex: re.Pattern[str]


def _always(key: str, match: re.Match[str]) -> bool:
    return True


class Cut(NamedTuple):
    """What is cut out of a text, which stays readable without it."""

    kind: str
    regex: re.Pattern[str]
    accept: Callable[[str, re.Match[str]], bool] = _always  # (key, match)
    instead: str = ""  # else a note with the kind
    is_secret: bool = False
    spares_people: bool = False  # does not apply under keys of people in charge


SECRETS = tuple(
    Secret(kind, re.compile(regex))
    for kind, regex in (
        ("AWS access key", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
        ("Google API key", r"\bAIza[\w-]{35}"),
        ("Google OAuth token", r"\bya29\.[\w-]{20}"),
        ("Azure storage key", r"(?i)(?:Account|SharedAccess)Key=[\w+/]{20}"),
        ("Azure client secret", r"(?<![\w~.-])[\w~.-]{3}\dQ~[\w~.-]{31,34}"),
        ("GitHub token", r"\bgh[pousr]_[A-Za-z0-9]{30}|\bgithub_pat_\w{22}"),
        ("GitLab token", r"\bglpat-[\w-]{20}"),
        ("Slack token", r"\bxox[abeoprs]-[A-Za-z0-9-]{10}"),
        ("Slack webhook", r"hooks\.slack\.com/services/[A-Za-z0-9/]{20}"),
        (
            "API key of a language model",
            r"\bsk-(?:(?:proj|svcacct|admin|or-v1|ant-[a-z0-9]{1,9})-[\w-]{20}"
            r"|[A-Za-z0-9]{32})",
        ),
        ("Hugging Face token", r"\bhf_[A-Za-z0-9]{30}"),
        ("Databricks token", r"\bdapi[0-9a-f]{32}"),
        ("Stripe key", r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{16}"),
        ("npm token", r"\bnpm_[A-Za-z0-9]{36}"),
        ("PyPI token", r"\bpypi-[\w-]{50}"),
        ("SendGrid key", r"(?<![\w.-])SG\.[\w-]{16,64}\.[\w-]{16}"),
        ("Vault token", r"\bhvs\.[\w-]{24}"),
        ("JSON web token", r"(?<![\w-])eyJ[\w-]{8,}\.eyJ[\w-]{8}"),
        ("private key", r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY"),
        ("bearer token", r"(?i)\bbearer\s{1,4}(?=\S{0,99}\d)[\w.~+/-]{20}"),
        (
            "password",
            r"(?i)(?:(?:password|passwd|pwd|(?:client_?|access_?)secret|secret_?(?:access_?)?key"
            r"|api[_-]?key|(?:access|auth)_?token)[\"']?\s?[=:]\s?|secret(?:[\"']?\s?="
            r"|[\"']\s?:)\s?|--password\s)[\"']?"
            r"(?=[^\s\"',;&]{0,99}\d)(?=[^\s\"',;&]{0,99}[a-z])[^\s\"',;&${<*(\[]{6}",
        ),
    )
)

# Keys that name a secret; what they hold is one unless it is a placeholder or a path.
SECRET_KEY = re.compile(
    r"(?:^|_)(?:(?P<password>password|passwd|passphrase|pwd)|secret|secret_?key"
    r"|api_?key|access_key|access_key_id|private_key|account_key|connection_string"
    r"|client_secret|(?:auth|access|refresh|api|bearer|session|sas|hf|github|gitlab"
    r"|slack|tracking|databricks)_token)$"
)
PLACEHOLDER = re.compile(
    r"(?is)\s*|none|null|true|false|yes|no|unset|hidden|masked|\*+|x+|\.+"
    r"|[<\[{$%./~].*|(?:vault|arn|env|secret|keyring|projects)[:/].*"
)
OPAQUE = re.compile(r"(?=\S*[A-Za-z])(?=\S*\d)(?!\S*://)\S{8,}")

# A first look, made of what is rare in ordinary text: without a hint, no secret, or no
# cut, is in a text. ANY_HINT spares most rows any other look at their values.
SECRET_HINT = re.compile(
    r"AKIA|ASIA|AIza|ya29\.|Q~|gh[pousr]_|github_pat_|glpat-|xox|hooks\.slack|sk-|hf_"
    r"|dapi|k_live_|k_test_|npm_|pypi-|SG\.|hvs\.|eyJ|PRIVATE KEY"
    r"|[Bb][Ee][Aa][Rr][Ee][Rr]\s|[Pp][Aa][Ss][Ss][Ww]|[Pp][Ww][Dd]"
    r"|[Ss][Ee][Cc][Rr][Ee][Tt]|[Kk][Ee][Yy][\"']?\s?[=:]|[Tt][Oo][Kk][Ee][Nn][\"']?\s?[=:]"
)
CUT_HINT = re.compile(
    r"@\w|://|[Kk][Ee][Yy][Ii][Dd]=|[Ss][Ii][Gg](?:[Nn][Aa][Tt][Uu][Rr][Ee])?="
    r"|[Tt][Oo][Kk][Ee][Nn]=|\d\d\d-\d|\d\d\d\d \d\d\d\d|\d{14}|\+[1-9]|\(\d\d\d\)"
    r"|[A-Z][A-Z]\d\d ?[A-Z0-9]{4}"
)
ANY_HINT = re.compile(f"{SECRET_HINT.pattern}|{CUT_HINT.pattern}")

# System keys of MLflow tell who ran what and where, and ids. People write the note.
_SYSTEM = "mlflow."
_NOTE = "mlflow.note.content"
_PEOPLE_KEY = re.compile(
    r"(?:^|_)(?:owner|author|maintainer|contact|approver|reviewer|developer|engineer"
    r"|steward|assignee|user)s?(?:_e?mail)?$|_by$"
)
_SUBJECT_KEY = re.compile(
    r"customer|client|patient|applicant|subject|employee|borrower|consumer|citizen"
)
_ID_KEY = re.compile(
    r"(?:^|_)(?:id|ids|run|job|seed|time|timestamp|ts|epoch|build|version|hash|digest"
    r"|checksum|offset|snapshot|partition)(?:_|$)"
)
_LAYER_UNITS = (4, 10)

# Endings of files that are country codes, too: weights@v2.gz is no address.
_FILE_ENDINGS = frozenset({"gz", "py", "js", "ts", "sh", "md", "rs", "db", "xz"})
_COUNTRY_CODE = 2  # letters
_DOMAINS = frozenset(
    """com org net edu gov mil int info biz name pro dev app cloud bank health tech
    online company group consulting systems solutions agency email test example local
    internal corp lan invalid""".split()  # noqa: SIM905 - a list of 32 is less legible
)
_ISSUED_CARD = re.compile(
    r"4\d{15}|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"
    r"|(?:6011|65\d\d|64[4-9]\d|62\d\d|35[2-8]\d)\d{12}|3[47]\d{13}|3[689]\d{12}"
)
_IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI FO GL NL SD", 19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK", 21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST", 26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HU LB NI PL SV",
        29: "BR EG PS QA UA", 30: "JO KW MU", 31: "MT SC", 32: "LC", 33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip
_PHONE_DIGITS = range(8, 16)


@cached_by_key
def names_person(key: str) -> bool:
    """Tell whether a key names a person in charge, or is MLflow's own."""
    if key.startswith(_SYSTEM):
        return key != _NOTE
    folded = fold(key)
    return bool(_PEOPLE_KEY.search(folded) and not _SUBJECT_KEY.search(folded))


def _is_address(key: str, match: re.Match[str]) -> bool:
    domain = match[1].lower()
    return domain in _DOMAINS or (
        len(domain) == _COUNTRY_CODE and domain not in _FILE_ENDINGS
    )


def _is_iban(key: str, match: re.Match[str]) -> bool:
    iban = match[0].replace(" ", "")
    if len(iban) != _IBAN_LENGTHS.get(iban[:2]):
        return False
    return int("".join(str(int(sign, 36)) for sign in iban[4:] + iban[:4])) % 97 == 1


def _is_card(key: str, match: re.Match[str]) -> bool:
    """Judge by issuer and Luhn's digit; a bare number under the key of an id is none."""
    if match[0].isdigit() and (key.startswith(_SYSTEM) or _ID_KEY.search(fold(key))):
        return False
    digits = re.sub(r"\D", "", match[0])
    if not _ISSUED_CARD.fullmatch(digits) or _are_layers(match[0]):
        return False
    odd = sum(map(int, digits[-1::-2]))
    even = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (odd + even) % 10 == 0


def _is_phone(key: str, match: re.Match[str]) -> bool:
    digits = sum(sign.isdigit() for sign in match[0])
    return digits in _PHONE_DIGITS and not _are_layers(match[0])


def _is_person_number(key: str, match: re.Match[str]) -> bool:
    return not _are_layers(match[0])


def _are_layers(text: str) -> bool:
    """Tell whether numbers are widths of layers, as 512-256-1024: multiples of one unit."""
    numbers = [int(part) for part in re.findall(r"\d+", text)]
    return len(numbers) > 1 and any(
        all(number % unit == 0 for number in numbers) for unit in _LAYER_UNITS
    )


CUTS = (
    Cut(
        "URL with credentials",
        re.compile(r"://(?:[^\s/?#@:\"'<>]*:[^\s/?#\"'<>]+|[^\s/?#@:\"'<>]{20,})@"),
        instead="://[redacted]@",
        is_secret=True,
    ),
    Cut(
        "token of a conda channel",
        re.compile(r"(?<=/t/)[a-z]{2}-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
        is_secret=True,
    ),
    Cut(
        "signed URL",
        re.compile(
            r"(?i)\?[^\s\"'<>?]*?\b(?:x-amz-signature|x-goog-signature|sig|signature"
            r"|awsaccesskeyid|access_token|sas_token)=[^\s\"'<>]+"
        ),
        instead="?[redacted]",
        is_secret=True,
    ),
    Cut(
        "e-mail address",
        re.compile(
            r"(?<![\w.+/%-])(?!git@)[\w.+%-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}"
            r"([A-Za-z]{2,24})(?![\w-]|\.\w|:[\w~/])"
        ),
        _is_address,
        spares_people=True,
    ),
    Cut(
        "IBAN",
        re.compile(
            r"(?<![\w-])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![\w-])"
        ),
        _is_iban,
    ),
    Cut(
        "card number",
        re.compile(
            r"(?<![\w./+-])(?:\d{14,16}|\d{4}([ -])\d{4}\1\d{4}\1\d{4}"
            r"|\d{4}([ -])\d{6}\2\d{4,5})(?![\w-]|\.\d)"
        ),
        _is_card,
    ),
    Cut(
        "US social security number",
        re.compile(
            r"(?<![\w.-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-]|\.\d)"
        ),
        _is_person_number,
    ),
    Cut(
        "telephone number",
        re.compile(
            r"(?<![\w+.-])(?:\+[1-9]\d{0,2}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{2,4}"
            r"(?:[ .-]?\d{2,4}){2,4}|\([2-9]\d\d\) ?[2-9]\d\d[ .-]\d{4}"
            r"|[2-9]\d\d-[2-9]\d\d-\d{4})(?![\w-]|\.\d)"
        ),
        _is_phone,
    ),
)
