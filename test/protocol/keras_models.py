"""
Models as Keras itself writes them, with what they answer: keras-models.json, which topologies.ts reads.

    pip install tensorflow-cpu==2.15.1 tensorflowjs==4.17.0      python test/protocol/keras_models.py 2
    pip install 'keras>=3' jax                                   python test/protocol/keras_models.py 3

Of Keras 2 the weights are listed by tensorflowjs' converter, of Keras 3 by their paths.
"""

import base64
import json
import os
import sys
import tempfile

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "keras-models.json")
VERSION = sys.argv[1]
os.environ["KERAS_BACKEND"] = "tensorflow" if VERSION == "2" else "jax"

import keras  # noqa: E402
import numpy as np  # noqa: E402
from keras import layers as L  # noqa: E402

SIDES = (6, 5, 1)


def base(name):
    """A convolution that somebody else has trained."""
    image = keras.Input(SIDES, name=f"{name}_image")
    seen = L.Conv2D(3, 3, activation="relu", name="conv")(image)
    normed = L.Dropout(0.5, name="drop")(L.BatchNormalization(name="norm")(seen))
    return keras.Model(image, L.GlobalAveragePooling2D(name="pool")(normed), name=name)


def frozen_with_head():
    """Transfer learning as its guide has it: frozen, and called as not in training."""
    trunk = base("trunk")
    trunk.trainable = False
    scan = keras.Input(SIDES, name="scan")
    return keras.Model(scan, L.Dense(2, activation="sigmoid", name="head")(trunk(scan, training=False)))


def chain_in_chain():
    """Sequential models, one of them in a functional one that is in another; and a layer that is called as an inner one."""
    inner = keras.Sequential([keras.Input((3,)), L.Dense(4, activation="tanh", name="a"), L.Dense(3, name="b")], name="inner")
    put = keras.Input((3,), name="put")
    body = keras.Model(put, L.Add(name="sum")([inner(put), put]), name="body")
    return keras.Sequential([base("eye"), body, L.Dense(2, activation="sigmoid", name="a" if VERSION == "3" else "out")])


def both_ways():
    """Each kind of cell and each way to merge, of sequences and of their ends."""
    rows = keras.Input(SIDES[:2], name="rows")
    seen = L.Bidirectional(L.LSTM(2, return_sequences=True, name="cells"), name="one")(rows)
    mixed = L.Bidirectional(L.GRU(3, return_sequences=True, reset_after=False), merge_mode="ave", name="two")(seen)
    ends = [
        L.Bidirectional(L.LSTM(3), merge_mode="sum", name="three")(mixed),
        L.Bidirectional(L.GRU(3, reset_after=False), merge_mode="mul", name="four")(mixed),
        L.Bidirectional(L.LSTM(3), merge_mode="ave", name="five")(mixed),
    ]
    return keras.Model(rows, L.Dense(2, activation="sigmoid", name="out")(L.Concatenate(name="ends")(ends)))


def attended():
    """Attention of steps to those before them, of one thing to another by a third, and GRUs as they come."""
    rows = keras.Input(SIDES[:2], name="rows")
    seen = L.MultiHeadAttention(2, 3, name="self")(rows, rows, use_causal_mask=True)
    steps = L.GRU(4, return_sequences=True, name="steps")(L.LayerNormalization(name="even")(seen + rows))
    crossed = L.MultiHeadAttention(2, 3, value_dim=2, output_shape=3, use_bias=False, dropout=0.1, name="cross")
    ends = [
        L.Bidirectional(L.GRU(3), name="both")(steps),
        L.GlobalAveragePooling1D(name="mean")(crossed(seen, value=steps, key=rows)),
    ]
    return keras.Model(rows, L.Dense(2, activation="sigmoid", name="out")(L.Concatenate(name="ends")(ends)))


def told(model, bend=np.abs):
    """:param bend: what is done to the noise that its weights are; variances have to be above zero"""
    noise = np.random.default_rng(8)
    model.set_weights([bend(noise.normal(0.2, 0.5, w.shape)).astype("float32") for w in model.get_weights()])
    x = noise.normal(size=(2, *model.input_shape[1:])).astype("float32")
    topology, specs, values = listed(model)
    return {
        "model": {"modelTopology": topology, "weightsManifest": [{"paths": ["weights.bin"], "weights": specs}]},
        "weights": base64.b64encode(b"".join(np.ascontiguousarray(v, "<f4").tobytes() for v in values)).decode(),
        "input": [round(float(v), 6) for v in x.ravel()],
        "output": [float(v) for v in np.ravel(model.predict(np.round(x, 6), verbose=0))],
    }


def listed(model):
    if VERSION == "3":
        values = model.get_weights()
        specs = [{"name": w.path, "shape": list(w.shape), "dtype": "float32"} for w in model.weights]
        return json.loads(model.to_json()), specs, values
    from tensorflowjs.converters import keras_h5_conversion
    import h5py

    path = os.path.join(tempfile.mkdtemp(), "model.h5")
    model.save(path)
    topology, groups = keras_h5_conversion.h5_merged_saved_model_to_tfjs_format(h5py.File(path, "r"))
    weights = [weight for group in groups for weight in group]
    specs = [{"name": w["name"], "shape": list(w["data"].shape), "dtype": "float32"} for w in weights]
    return topology, specs, [w["data"] for w in weights]


kept = json.load(open(FILE)) if os.path.exists(FILE) else {}
kept[f"Keras {keras.__version__}, a frozen base with a head"] = told(frozen_with_head())
kept[f"Keras {keras.__version__}, models within models within models"] = told(chain_in_chain())
kept[f"Keras {keras.__version__}, read both ways"] = told(both_ways())
kept[f"Keras {keras.__version__}, attention and GRUs"] = told(attended(), np.positive)
json.dump(kept, open(FILE, "w"))
