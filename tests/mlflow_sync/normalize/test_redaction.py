"""What is taken out of tags and parameters, and what is left in them.

No secret here is real; those that a scanner of repositories knows are put together.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_sync.normalize.redaction import PARAMETER, is_redacted, redact_mapping
from mlflow_sync.normalize.redaction_patterns import CUTS, SECRETS

LETTERS = "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY"

SECRET_VALUES = {
    "AWS access key": "AKIA" + "IOSFODNN7EXAMPLE",
    "Google API key": "AIza" + LETTERS + "zA3",
    "Google OAuth token": "ya29." + LETTERS,
    "Azure storage key": f"BlobEndpoint=x;AccountKey={LETTERS}{LETTERS}==",
    "Azure client secret": "aB3" + "8Q~" + LETTERS + "zz",
    "GitHub token": "ghp_" + LETTERS + "zA3d",
    "GitLab token": "glpat-" + LETTERS[:20],
    "Slack token": "xoxb-" + "123456789012-" + LETTERS,
    "Slack webhook": "https://hooks.slack.com/services/T000/B000/" + LETTERS,
    "API key of a language model": "sk-" + LETTERS + LETTERS[:16],
    "Hugging Face token": "hf_" + LETTERS + "aB",
    "Databricks token": "dapi" + "0123456789abcdef" * 2,
    "Stripe key": "sk_live_" + LETTERS[:24],
    "npm token": "npm_" + LETTERS + "zA3d",
    "PyPI token": "pypi-" + LETTERS + LETTERS,
    "SendGrid key": f"SG.{LETTERS[:22]}.{LETTERS}",
    "Vault token": "hvs." + LETTERS,
    "JSON web token": f"eyJ{LETTERS}.eyJ{LETTERS}.{LETTERS}",
    "private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
    "bearer token": f"Authorization: Bearer {LETTERS}",
    "password": "host=db user=etl password=hunter2x sslmode=require",
}
CUT_VALUES = {
    "URL with credentials": (
        "postgresql://etl:hunter2@db/loans",
        "postgresql://[redacted]@db/loans",
    ),
    "token of a conda channel": (
        "https://conda.anaconda.org/t/ac-01234567-89ab-cdef-0123-456789abcdef/acme",
        "https://conda.anaconda.org/t/[redacted: token of a conda channel]/acme",
    ),
    "signed URL": (
        "https://b.s3.amazonaws.com/train.csv?X-Amz-Date=1&X-Amz-Signature=abc1 ok",
        "https://b.s3.amazonaws.com/train.csv?[redacted] ok",
    ),
    "e-mail address": (
        "ask jane.doe@example.com first",
        "ask [redacted: e-mail address] first",
    ),
    "IBAN": ("pays from GB29 NWBK 6016 1331 9268 19", "pays from [redacted: IBAN]"),
    "card number": ("4111 1111 1111 1111", "[redacted: card number]"),
    "US social security number": (
        "applicant 123-45-6789",
        "applicant [redacted: US social security number]",
    ),
    "telephone number": ("call +49 30 1234567", "call [redacted: telephone number]"),
}


@pytest.mark.parametrize("kind", [secret.kind for secret in SECRETS])
@pytest.mark.parametrize("place", ["run tag", PARAMETER])
def test_a_value_with_a_secret_is_replaced_as_a_whole(kind: str, place: str) -> None:
    told = {"note": f"see {SECRET_VALUES[kind]} or ask", "owner": "risk"}

    clean, (redaction,) = redact_mapping(place, told)

    assert clean == {"note": f"[redacted: {kind}]", "owner": "risk"}
    assert is_redacted(clean["note"])
    assert (redaction.place, redaction.key, redaction.kind) == (place, "note", kind)
    assert redaction.is_secret


@pytest.mark.parametrize("cut", CUTS, ids=lambda cut: cut.kind)
def test_what_can_be_cut_out_leaves_the_rest_readable(cut) -> None:
    told, kept = CUT_VALUES[cut.kind]

    clean, (redaction,) = redact_mapping("version tag", {"note": told})

    assert clean == {"note": kept}
    assert (redaction.kind, redaction.is_secret) == (cut.kind, cut.is_secret)


@pytest.mark.parametrize(
    "value",
    [
        "4111111111111111",
        "5555 5555 5555 4444",
        "3782-822463-10005",
        "6011000990139424",
        "DE89370400440532013000",
        "FR14 2004 1010 0505 0001 3M02 606",
        "(212) 555-0187",
        "212-555-0187",
        "+1 (212) 555 0187",
        "+442071838750",
        "jane@müller.example.org".replace("ü", "ue"),
        "JANE.DOE+loans@sub.example.co.uk",
        "mlflow.note says: 123-45-6789.",
    ],
)
def test_personal_data_is_found_in_its_clear_forms(value: str) -> None:
    clean, redactions = redact_mapping("run tag", {"remark": value})

    assert [redaction.is_secret for redaction in redactions] == [False]
    assert value not in clean["remark"]


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        ("password", "letmein", "password"),
        ("db.password", "correct horse", "password"),
        ("aws_secret_access_key", "wJalrXUtnFEMI/K7MDENG+bPxRfi", "secret"),
        ("MLFLOW_TRACKING_TOKEN", "a1b2c3d4e5", "secret"),
        ("api-key", "9f8e7d6c5b4a", "secret"),
    ],
)
def test_a_key_that_names_a_secret_gives_its_value_away(
    key: str, value: str, kind: str
) -> None:
    clean, (redaction,) = redact_mapping(PARAMETER, {key: value})

    assert clean[key] == f"[redacted: {kind}]"
    assert redaction.is_secret


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("password", ""),
        ("password", "${DB_PASSWORD}"),
        ("password", "********"),
        ("pwd", "/home/etl/loans"),
        ("api_key", "None"),
        ("api_key", "vault:secret/data/loans#1key"),
        ("access_token", "arn:aws:secretsmanager:eu:1:secret:loans1"),
        ("client_secret", "required"),
        ("pad_token", "<|endoftext|>2"),
        ("max_tokens", "4096"),
        ("token_count", "a12345678"),
        ("monkey", "a12345678"),
    ],
)
def test_a_placeholder_is_no_secret(key: str, value: str) -> None:
    assert redact_mapping("run tag", {key: value}) == ({key: value}, ())


@pytest.mark.parametrize(
    "key", ["owner", "Model Owner", "reviewed_by", "mlflow.user", "mlflow.source.name"]
)
def test_the_address_of_a_person_in_charge_stays(key: str) -> None:
    told = {key: "jane@example.com"}

    assert redact_mapping("run tag", told) == (told, ())


def test_the_keys_of_people_can_be_extended() -> None:
    told = {"Verantwortlich": "jane@example.com"}

    assert redact_mapping("run tag", told)[1]
    assert not redact_mapping("run tag", told, people_keys={"verantwortlich"})[1]


@pytest.mark.parametrize(
    "key", ["customer_contact", "mlflow.note.content", "sample_row"]
)
def test_other_addresses_do_not_stay(key: str) -> None:
    assert redact_mapping("run tag", {key: "jane@example.com"})[1]


def test_a_numeric_parameter_is_never_touched() -> None:
    told = {"seed": "4111111111111111", "c": "+442071838750", "password": "12345678"}

    assert redact_mapping(PARAMETER, told) == (told, ())


def test_several_findings_in_one_value_are_each_named() -> None:
    told = {"note": "s3://k1:s2@b/x, jane@example.com, 123-45-6789"}

    clean, redactions = redact_mapping("run tag", told)

    assert clean["note"] == (
        "s3://[redacted]@b/x, [redacted: e-mail address], "
        "[redacted: US social security number]"
    )
    assert [redaction.kind for redaction in redactions] == [
        "URL with credentials",
        "e-mail address",
        "US social security number",
    ]


@pytest.mark.parametrize(
    "value",
    [
        "git@github.com:acme/loans.git",
        "ssh://git@github.com/acme/loans.git",
        "abfss://models@acme.dfs.core.windows.net/loans",
        "loans@v2.gz",
        "credit@3f2a1b9c.parquet",
        "ghcr.io/acme/serve@sha256:" + "0a" * 32,
        "512-256-1024",
        "512-64-1024",
        "784-300-1000",
        "100-50-1000",
        "4096 2048 1024 1024",
        "4111 1111 1111 1112",
        "4200 4200 4200 4200",
        "GB29NWBK60161331926818",
        "2026-01-31T12:00:00+01:00",
        "550e8400-e29b-41d4-a716-446655440000",
        "x + 10 20 30",
        "3.10.1234",
        "https://host:8080/path@v1",
        "task-1 of the risk-model",
        "s3://bucket/v3/train.csv?versionId=abc",
        "password reset classifier",
        "secret santa matching",
        'os.environ["API_KEY"]',
        "api_key=os.environ['KEY']",
    ],
)
def test_what_only_looks_like_it_stays(value: str) -> None:
    assert redact_mapping("run tag", {"note": value}) == ({"note": value}, ())


def hexadecimal(dice: random.Random, length: int) -> str:
    return f"{dice.getrandbits(4 * length):0{length}x}"


def digits(dice: random.Random, length: int) -> str:
    return "".join(dice.choices("0123456789", k=length))


def moment(dice: random.Random, form: str) -> str:
    return time.strftime(form, time.gmtime(dice.randint(1_500_000_000, 1_900_000_000)))


def several(dice: random.Random, unit: int, between: str) -> str:
    """Return the widths of layers, multiples of a unit."""
    return between.join(
        str(unit * dice.randint(1, 999)) for _ in range(dice.randint(2, 5))
    )


ORDINARY: dict[str, Callable[[random.Random], str]] = {
    "learning_rate": lambda dice: (
        f"{10 ** dice.uniform(-7, 0):.{dice.randint(1, 12)}g}"
    ),
    "alpha": lambda dice: repr(dice.random()),
    "ratio": lambda dice: f"{dice.random():.16f}",
    "threshold": lambda dice: f"+{dice.random():.3f}",
    "seed": lambda dice: str(dice.randint(0, 2**63)),
    "md5": lambda dice: hexadecimal(dice, 32),
    "MD5": lambda dice: hexadecimal(dice, 32).upper(),
    "git_sha": lambda dice: hexadecimal(dice, 40),
    "short_sha": lambda dice: hexadecimal(dice, dice.randint(7, 12)),
    "sha256": lambda dice: hexadecimal(dice, 64),
    "logged_model": lambda dice: f"models:/m-{hexadecimal(dice, 32)}",
    "model_uuid": lambda dice: str(uuid.UUID(int=dice.getrandbits(128), version=4)),
    "source_run": lambda dice: f"runs:/{hexadecimal(dice, 32)}/model",
    "job_id": lambda dice: digits(dice, dice.randint(12, 19)),
    "experiment_id": lambda dice: digits(dice, 18),
    "mlflow.databricks.jobRunID": lambda dice: digits(dice, 16),
    "started_ms": lambda dice: str(dice.randint(15 * 10**11, 19 * 10**11)),
    "started_us": lambda dice: str(dice.randint(15 * 10**14, 19 * 10**14)),
    "started_ns": lambda dice: str(dice.randint(15 * 10**17, 19 * 10**17)),
    "date": lambda dice: moment(dice, "%Y-%m-%d"),
    "iso": lambda dice: moment(dice, "%Y-%m-%dT%H:%M:%S+02:00"),
    "compact": lambda dice: moment(dice, "%Y%m%d%H%M%S"),
    "german": lambda dice: moment(dice, "%d.%m.%Y %H:%M"),
    "american": lambda dice: moment(dice, "%m/%d/%Y %I:%M %p"),
    "folder": lambda dice: moment(dice, "/data/%Y/%m/%d/part-00001-tid-%H%M.parquet"),
    "s3": lambda dice: f"s3://b-{digits(dice, 4)}/{digits(dice, 18)}/artifacts",
    "abfss": lambda dice: f"abfss://data@acme{digits(dice, 2)}.dfs.core.windows.net/v1",
    "windows": lambda dice: rf"C:\models\train_{hexadecimal(dice, 8)}.csv",
    "version": lambda dice: ".".join(digits(dice, 2) for _ in range(3)),
    "requirement": lambda dice: f"scikit-learn==1.{digits(dice, 1)}.{digits(dice, 1)}",
    "image": lambda dice: f"acme/train:1@sha256:{hexadecimal(dice, 64)}",
    "layers": lambda dice: several(dice, 4, "-"),
    "hidden": lambda dice: several(dice, 8, " "),
    "units": lambda dice: several(dice, 10, "-"),
    "shape": lambda dice: f"({several(dice, 1, ', ')})",
    "sizes": lambda dice: several(dice, 1, "x"),
    "architecture": lambda dice: f"[{several(dice, 1, ',')}]",
    "base_model": lambda dice: f"bert-base-v{digits(dice, 1)}-{hexadecimal(dice, 7)}",
    "grid": lambda dice: str({"C": dice.random(), "gamma": [0.1, dice.random()]}),
    "dataset": lambda dice: f"loans@{hexadecimal(dice, 8)}",
    "data_file": lambda dice: f"loans@v{digits(dice, 2)}.csv",
    "host": lambda dice: (
        f"http://10.0.{digits(dice, 1)}.7:{dice.randint(1024, 65535)}/"
    ),
    "repository": lambda dice: f"git@git.acme.test:risk/loans-{digits(dice, 4)}.git",
    "pad_token": lambda dice: f"<pad{digits(dice, 1)}>",
    "device": lambda dice: f"cuda:{digits(dice, 1)}",
    "schedule": lambda dice: f"{dice.randint(0, 59)} {dice.randint(0, 23)} * * 1-5",
    "split": lambda dice: f"{digits(dice, 2)}/{digits(dice, 2)}",
    "features": lambda dice: ",".join(f"f_{hexadecimal(dice, 4)}" for _ in range(8)),
    "interval": lambda dice: f"[-{digits(dice, 3)}, +{dice.randint(1, 99999)}]",
}


def test_none_of_ten_thousand_ordinary_values_is_redacted() -> None:
    dice = random.Random(20260101)
    redacted = []
    for number in range(10_000):
        key = list(ORDINARY)[number % len(ORDINARY)]
        value = ORDINARY[key](dice)
        redacted += [
            (place, key, value)
            for place in (PARAMETER, "run tag")
            if redact_mapping(place, {key: value}) != ({key: value}, ())
        ]

    assert redacted == []


@pytest.mark.parametrize(
    "part",
    [
        "password=", "eyJ", "-eyJ", "SG.a.", "?", "&sig", "://", "://a:", "@", "a@", "a.",
        "a@b.", "+1 ", "12 ", "123-", "1111 ", "4", "AB12", "AB12 ", "bearer ", "Bearer a",
        "-----BEGIN A ", "hf_", "key=", "\n", "=", "1", "://a@", "?sig=", "_token", "[",
    ],
)  # fmt: skip
def test_a_hostile_value_costs_no_more_than_its_length(part: str) -> None:
    value = (part * 100_000)[:100_000]
    started = time.process_time()

    redact_mapping("run tag", {"note": value + "://@ ", "password_token": value})

    assert time.process_time() - started < 2


@given(st.dictionaries(st.text(), st.text()))
def test_no_value_is_lost_or_made_up(told: dict[str, str]) -> None:
    clean, redactions = redact_mapping("run tag", told)

    changed = {key for key in told if clean[key] != told[key]}
    assert clean.keys() == told.keys()
    assert changed == {redaction.key for redaction in redactions}
