"""Names of files: what they are evidence of, how they are loaded, and false friends."""

from __future__ import annotations

import pytest

from mlflow_sync.files.kinds import evidence_kind, type_of, unsafe_format

EVIDENCE = {
    "model card": (
        "model_card.md",
        "MODEL_CARD",
        "MODEL_CARD.md",
        "model-card.json",
        "modelcard.pdf",
        "model_card_data.yaml",
        "credit_model_card.html",
        "docs/model_card_v2.docx",
        "model_card/index.html",
        "model_cards/fraud.md",
        "README.md",
        "readme",
        "runs:/r1/README.md",
        "runs:/r1/docs/Model_Card.md",
    ),
    "bias report": (
        "bias_report.pdf",
        "bias.html",
        "bias/gender.json",
        "reports/bias-audit.md",
        "fairness/gender.json",
        "fairness_by_group.csv",
        "runs:/r1/fairness.png",
        "demographic_parity.json",
        "equalised-odds.csv",
        "disparate_impact_report.txt",
    ),
    "explanation": (
        "shap_summary.png",
        "model_explanations_shap/summary_bar_plot.png",
        "shap_values.csv",
        "explainability/lime.html",
        "explain.json",
        "feature_importance.png",
        "feature_importances.json",
        "permutation-importance.csv",
        "partial_dependence.svg",
        "counterfactuals.json",
        "explanation_report.pdf",
    ),
    "evaluation report": (
        "evaluation_report.pdf",
        "classification_report.txt",
        "report.html",
        "reports/2026/q1.md",
        "eval/metrics.json",
        "eval_results_table.json",
        "evaluations.md",
        "validation.html",
        "cross_validation.csv",
        "validation_results.csv",
        "runs:/r1/eval.json",
    ),
    "environment": ("conda.yaml", "python_env.yaml", "requirements.txt"),
    "": (
        "MLmodel",  # its content says whether it has a signature
        # no cards
        "model_cardinality.json",
        "src/README.md",
        "readme_old.md",
        "make_model_card.py",
        "scorecard.json",
        # no bias against people
        "bias.npy",
        "unbiased.json",
        "biases.csv",
        "layer1/bias_weights.json",
        "bias_initializer.txt",
        "bias-correction.json",
        # no explanations
        "shape.json",
        "shapes/shapely.txt",
        "explained_variance.png",
        "sublime.txt",
        "limes.csv",
        "shap_values.npy",
        "explain.py",
        # no evaluations
        "retrieval.json",
        "medieval.txt",
        "evaluator.json",
        "reporter.txt",
        "evaluation_data.csv",
        "validation_set.json",
        "validation.csv",
        "eval_dataset.json",
        "invalidation.html",
        "schema_validation.json",
        "crash_report.txt",
        "profiling_report.html",
        "report.py",
        # no environments
        "requirements-dev.txt",
        "code/requirements.txt",
        "runs:/r1/conda.yaml",
        "conda.yml",
        # no evidence at all
        "model.pkl",
        "input_example.json",
        "signature.png",
        "estimator.html",
        "confusion_matrix.png",
        "",
    ),
}


@pytest.mark.parametrize(
    ("path", "kind"),
    [(path, kind) for kind, paths in EVIDENCE.items() for path in paths],
)
def test_a_name_tells_a_kind_of_evidence_or_none(path: str, kind: str) -> None:
    assert evidence_kind(path) == kind


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("model.pkl", "pickle"),
        ("python_model.PKL", "pickle"),
        ("data/scaler.pickle", "pickle"),
        ("runs:/r1/encoder.dill", "pickle"),
        ("data/custom_objects.cloudpickle", "pickle"),
        ("model.statsmodels", "pickle"),
        ("model.pmd", "pickle"),
        ("explainer.shap", "pickle"),
        ("model.pkl.gz", "pickle"),
        ("python_model.pkl.xz", "pickle"),
        ("pipeline.joblib", "joblib"),
        ("pipeline.joblib.z", "joblib"),
        ("data/model.pth", "PyTorch"),
        ("weights.pt", "PyTorch"),
        ("last.ckpt", "PyTorch"),
        ("pytorch_model.bin", "PyTorch"),
        ("model/pytorch_model-00001-of-00002.bin", "PyTorch"),
        ("unet/diffusion_pytorch_model.fp16.bin", "PyTorch"),
        ("training_args.bin", "PyTorch"),
        ("serve.mar", "TorchServe archive"),
        # safe, or nobody can tell by the name
        ("weights.bin", ""),
        ("model.bin", ""),
        ("my_pytorch_model.bin.md", ""),
        ("data/model.pt2", ""),
        ("model.skops", ""),
        ("model.safetensors", ""),
        ("model.onnx", ""),
        ("model.ubj", ""),
        ("model.cbm", ""),
        ("shap_values.npy", ""),
        ("model.h5", ""),
        ("model.keras", ""),
        ("saved_model.pb", ""),
        ("pickle_module_info.txt", ""),
        ("pickle.md", ""),
        ("pkl", ""),
        (".pkl", "pickle"),
        ("v1.pkl/weights", ""),
        ("checkpoint.ckpt.index", ""),
        ("archive.tar.gz", ""),
    ],
)
def test_a_format_that_runs_code_when_it_is_loaded_is_told_by_the_name(
    path: str, told: str
) -> None:
    assert unsafe_format(path) == told


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("MLmodel", "model description"),
        ("requirements.txt", "environment"),
        ("code/requirements.txt", "document"),
        ("model.skops", "model"),
        ("model.pkl.gz", "model"),
        ("rows.csv.gz", "data"),
        ("plot.PNG", "image"),
        ("train.py", "code"),
        ("config.yaml", "settings"),
        ("core", "other"),
        ("archive.tar.gz", "other"),
    ],
)
def test_a_name_tells_a_type(path: str, kind: str) -> None:
    assert type_of(path) == kind
