"""What the name of a file says of it: its type, what it is evidence of, how it is loaded.

Names are all that is judged here: nothing is opened, least of all loaded.
"""

from __future__ import annotations

import re

ENVIRONMENT_FILES = ("conda.yaml", "python_env.yaml", "requirements.txt")
MLMODEL = "MLmodel"

_TYPES = {
    "model": "bin cbm ckpt cloudpickle dill h5 joblib keras mar model onnx pb pickle pkl "
    "pt pt2 pth safetensors skops tflite ubj xgb",
    "document": "docx htm html md pdf rst txt",
    "data": "avro csv feather json jsonl npy npz parquet tsv",
    "image": "gif jpeg jpg png svg webp",
    "settings": "cfg ini toml yaml yml",
    "code": "ipynb py r sh sql",
}
_TYPE_OF = {
    suffix: kind for kind, suffixes in _TYPES.items() for suffix in suffixes.split()
}

# Formats that run code of the file's own when it is loaded. Those of MLflow's flavors
# (.statsmodels, .pmd, .shap, .cloudpickle) are pickles under another name; .mar holds
# Python handlers beside a pickle.
# Left out: .npy and .npz, of which NumPy reads no pickle unless it is told to; .h5 and
# .keras, whose code is a rare layer that Keras refuses by default; .pt2, skops,
# safetensors, ONNX and the boosters' own formats, which hold none.
_UNSAFE = {
    "pickle": "cloudpickle dill pck pickle pkl pmd shap statsmodels",
    "joblib": "joblib",
    "PyTorch": "ckpt pt pth",
    "TorchServe archive": "mar",
}
_UNSAFE_OF = {
    suffix: name for name, suffixes in _UNSAFE.items() for suffix in suffixes.split()
}
# Any program calls its weights .bin; under these names Transformers and Diffusers pickle.
_TORCH_BIN = re.compile(
    r"(?:diffusion_)?pytorch_(?:model|lora_weights)[\w.-]*\.bin"
    r"|(?:adapter_model|optimizer|scheduler|training_args)\.bin",
    re.IGNORECASE,
)
_COMPRESSED = re.compile(r"\.(?:gz|bz2|xz|lzma|z|zst)$", re.IGNORECASE)
# As MLmodel tells a serialization_format.
UNSAFE_SERIALIZATIONS = frozenset({"cloudpickle", "dill", "joblib", "pickle"})

_OF_RUN = re.compile(r"^runs:/[^/]*/")
_TEXTS = frozenset(
    {"docx", "htm", "html", "json", "markdown", "md", "pdf", "rst", "txt"}
)
_PICTURES_AND_TABLES = frozenset({"csv", "png", "svg"})
# Each kind of evidence: the words that tell it, and those that only seem to.
_EVIDENCE: tuple[tuple[str, re.Pattern[str], re.Pattern[str], frozenset[str]], ...] = (
    (
        "model card",
        re.compile(r"(?:^|[/_.-])model[_-]?cards?(?![a-z])|^readme(?:\.md)?$"),
        re.compile(r"(?!)"),
        _TEXTS | {"yaml", "yml", ""},
    ),
    (
        "bias report",
        re.compile(
            r"(?<![a-z])(?:bias|fairness|disparate[_-]?impact|demographic[_-]?parity"
            r"|equali[sz]ed[_-]?odds)(?![a-z])"
        ),
        # The bias of a neuron is none against people.
        re.compile(
            r"(?<![a-z])bias[_-](?:add|correction|init|initiali[sz]er|layer|term|vector"
            r"|weights?)(?![a-z])"
        ),
        _TEXTS | _PICTURES_AND_TABLES,
    ),
    (
        "explanation",
        re.compile(
            r"(?<![a-z])(?:shap(?![a-z])|explain|explanation|lime(?![a-z])"
            r"|(?:feature|permutation)[_-]?importances?|partial[_-]dependence"
            r"|counterfactuals?)"
        ),
        re.compile(r"explained"),  # variance
        _TEXTS | _PICTURES_AND_TABLES,
    ),
    (
        "evaluation report",
        re.compile(
            r"reports?(?![a-z])|(?<![a-z])eval(?:s|uations?)?(?![a-z])"
            r"|(?<![a-z])validation(?![a-z])"
        ),
        # Data that were evaluated on, checks of data and settings, reports of programs.
        re.compile(
            r"(?:eval(?:uation)?|validation)[_-](?:config|data|dataset|features|indices"
            r"|inputs?|labels|params|samples?|sets?|splits?)(?![a-z])"
            r"|(?:data|input|schema)[_-]?validation"
            r"|(?:bug|coverage|crash|error|profile|profiling)[_-]?reports?"
            r"|(?:^|/)(?:eval(?:uation)?|validation)\.csv$"
        ),
        _TEXTS | _PICTURES_AND_TABLES,
    ),
)


def type_of(path: str) -> str:
    if path == MLMODEL:
        return "model description"
    if path in ENVIRONMENT_FILES:
        return "environment"
    return _TYPE_OF.get(_suffix(_COMPRESSED.sub("", path)), "other")


def unsafe_format(path: str) -> str:
    """Return the format of a file that runs code when it is loaded, "" for others."""
    path = _COMPRESSED.sub("", path)
    if _TORCH_BIN.fullmatch(path.rpartition("/")[2]):
        return "PyTorch"
    return _UNSAFE_OF.get(_suffix(path), "")


def evidence_kind(path: str) -> str:
    """Return the one thing that a file is evidence of, "" for most files.

    Of MLmodel only its content says whether it has a signature.
    """
    if path in ENVIRONMENT_FILES:
        return "environment"
    name = _OF_RUN.sub("", path).lower()
    suffix = _suffix(name)
    for kind, telling, seeming, suffixes in _EVIDENCE:
        if suffix in suffixes and telling.search(seeming.sub("", name)):
            return kind
    return ""


def _suffix(path: str) -> str:
    """Return what follows the last point of a file's name, also where nothing precedes."""
    _, point, suffix = path.rpartition("/")[2].rpartition(".")
    return suffix.lower() if point else ""
