"""Makes the fixtures beside it with scikit-learn itself: pipelines of the study's shape, and what they predict.

Run by hand where scikit-learn is installed; the tests only read its output. Figures are made up.
"""
import json
import random
import sys

import joblib
import numpy as np
import pandas
import sklearn
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Lasso, LinearRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, PolynomialFeatures, StandardScaler

P = "feature.node.kubernetes.io/"
LABELS = {
    P + "cpu-model.family": ["23", "25", "31", "6"],
    P + "cpu-model.vendor_id": ["AMD", "ARM", "Intel"],
    P + "cpu-hardware_multithreading": ["false", "true"],
    P + "kernel-version.full": ["5.10.236-228.935.amzn2.x86_64", "6.1.134-152.225.amzn2023.aarch64", "6.1.134-152.225.amzn2023.x86_64"],
}


def top_level_slicer(X, indices):
    return X[:, indices]


def rows(n, seed):
    r = random.Random(seed)
    return [{k: r.choice(v) for k, v in LABELS.items()} for _ in range(n)]


def target(row):
    t = 3.25 + 7 * (row[P + "cpu-model.vendor_id"] == "ARM") - 2.5 * (row[P + "cpu-model.family"] == "6")
    t += 11 * (row[P + "cpu-model.family"] == "25") * (row[P + "cpu-hardware_multithreading"] == "false")
    return t + 0.01 * (len(json.dumps(row)) % 7)


def encode(**kw):
    return ColumnTransformer([("cat", OneHotEncoder(handle_unknown="ignore", **kw), list(LABELS))], remainder="drop")


def dense():
    return {"sparse_output": False} if sklearn.__version__ >= "1.2" else {"sparse": False}


def pick(every):
    # 4 labels have 12 values: 12 columns, and 66 products of two
    return FunctionTransformer(top_level_slicer, kw_args={"indices": np.arange(0, 78, every)}, validate=False)


PIPELINES = {
    "linear": lambda: Pipeline([("preprocessor", encode()), ("regressor", LinearRegression())]),
    "published": lambda: Pipeline([
        ("preprocessor", encode(**dense())),
        ("poly", PolynomialFeatures(degree=2, interaction_only=True, include_bias=False)),
        ("selector", pick(2)),
        ("regressor", LinearRegression()),
    ]),
    "scaled": lambda: Pipeline([
        ("preprocessor", encode(**dense())),
        ("scaler", StandardScaler()),
        ("poly", PolynomialFeatures(degree=2)),
        ("lasso", Lasso(alpha=0.001)),
    ]),
    "dropped": lambda: Pipeline([
        ("preprocessor", encode(drop="first")),
        ("scaler", StandardScaler(with_mean=False)),
        ("lasso", Lasso(alpha=0.01, fit_intercept=False)),
    ]),
    "nested": lambda: Pipeline([
        ("preprocessor", ColumnTransformer([
            ("a", Pipeline([("onehot", OneHotEncoder())]), list(LABELS)[:2]),
            ("none", StandardScaler(), []),
            ("b", OneHotEncoder(), [2, 3]),
        ])),
        ("poly", PolynomialFeatures(degree=(1, 3), interaction_only=False, include_bias=True)),
        ("regressor", LinearRegression()),
    ]),
}
REFUSED = {
    "ridge": lambda: Pipeline([("preprocessor", encode()), ("regressor", Ridge())]),
    "forest": lambda: Pipeline([("preprocessor", encode()), ("regressor", RandomForestRegressor(n_estimators=1, max_depth=1))]),
}

if __name__ == "__main__":
    train, test = rows(60, 1), rows(25, 2)
    y = [target(r) for r in train]
    expected = {"sklearn": sklearn.__version__, "joblib": joblib.__version__, "numpy": np.__version__, "python": sys.version.split()[0], "rows": test, "scores": {}}
    for name, make in {**PIPELINES, **REFUSED}.items():
        pipeline = make().fit(pandas.DataFrame(train), y)
        compress = {"dropped": ("zlib", 3), "nested": ("gzip", 3)}.get(name, 0)
        joblib.dump(pipeline, name + ".joblib", compress=compress, protocol={"linear": 2, "scaled": 5}.get(name))
        if name in PIPELINES:
            expected["scores"][name] = [float(s) for s in pipeline.predict(pandas.DataFrame(test))]
    joblib.dump(LinearRegression(), "lzma.joblib", compress=("lzma", 3))
    with open("expected.json", "w") as f:
        json.dump(expected, f, indent=1)
