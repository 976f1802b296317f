"""The files of a generated version, as MLflow's scikit-learn flavour leaves them."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path

MODEL_BYTES = 4096  # so small that what is measured are requests, not a disk

_MLMODEL = """\
artifact_path: model
flavors:
  python_function:
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.sklearn
    model_path: model.pkl
    predict_fn: predict
    python_version: 3.11.9
  sklearn:
    code: null
    pickled_model: model.pkl
    serialization_format: cloudpickle
    sklearn_version: 1.5.2
mlflow_version: 2.22.0
model_id: {model_id}
model_size_bytes: {size}
run_id: {run_id}
signature:
  inputs: '[{{"type": "double", "name": "income", "required": true}}, {{"type": "double",
    "name": "age", "required": true}}]'
  outputs: '[{{"type": "long", "required": true}}]'
  params: null
utc_time_created: '{at:%Y-%m-%d %H:%M:%S.%f}'
"""
_CONDA = """\
channels:
- conda-forge
dependencies:
- python=3.11.9
- pip<=24.0
- pip:
  - mlflow==2.22.0
  - cloudpickle==3.0.0
  - numpy==1.26.4
  - scikit-learn==1.5.2
name: mlflow-env
"""
_PYTHON_ENV = """\
python: 3.11.9
build_dependencies:
- pip==24.0
- setuptools==70.0.0
- wheel==0.43.0
dependencies:
- -r requirements.txt
"""
_REQUIREMENTS = (
    "mlflow==2.22.0\ncloudpickle==3.0.0\nnumpy==1.26.4\nscikit-learn==1.5.2\n"
)


def write(folder: Path, *, run_id: str, model_id: str, at: int) -> None:
    """Write MLmodel, the three environment files and a model; `at` in ms."""
    folder.mkdir(parents=True)
    born = datetime.fromtimestamp(at / 1000, UTC)
    texts = {
        "MLmodel": _MLMODEL.format(
            run_id=run_id, model_id=model_id, size=MODEL_BYTES, at=born
        ),
        "conda.yaml": _CONDA,
        "python_env.yaml": _PYTHON_ENV,
        "requirements.txt": _REQUIREMENTS,
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "model.pkl").write_bytes(random.Random(run_id).randbytes(MODEL_BYTES))
