"""One training loop of another framework, on one thread or on one GPU: `train.py torch|tensorflow MODEL BATCH SECONDS cpu|gpu`.

Prints a line of JSON: samples a second of CPU, or on a GPU of time on the wall, in the turn after the fastest quarter, and peak resident memory. Models and optimiser are those of bench/train.ts: the data is one batch of noise that stays where the loop runs.
"""

import json
import os
import resource
import sys
import time

framework, model, batch, seconds, device = sys.argv[1:6]
batch, seconds = int(batch), float(seconds)
if device == "cpu":
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="-1")
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

RATE, MOMENTUM, CLASSES = 0.01, 0.9, 10
TOKENS, STEPS, WIDTH, HEADS = 256, 64, 64, 4


def torch_step():
    import torch
    from torch import nn

    if device == "cpu":
        torch.set_num_threads(1)
    place = "cpu" if device == "cpu" else "cuda"

    def block(channels, filters):
        norm = [nn.BatchNorm2d(filters)] if model == "cnn" else []
        return [nn.Conv2d(channels, filters, 3, padding=1), *norm, nn.ReLU(), nn.MaxPool2d(2)]

    class Transformer(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(TOKENS, WIDTH)
            self.places = nn.Parameter(torch.randn(STEPS, WIDTH) * 0.02)
            self.blocks = nn.Sequential(
                *[
                    nn.TransformerEncoderLayer(
                        WIDTH, HEADS, 4 * WIDTH, dropout=0, activation="gelu", batch_first=True, norm_first=True
                    )
                    for _ in range(2)
                ]
            )
            self.out = nn.Linear(WIDTH, CLASSES)

        def forward(self, x):
            return self.out(self.blocks(self.tokens(x) + self.places).mean(1))

    if model == "transformer":
        network = Transformer().to(place)
        x = torch.randint(0, TOKENS, (batch, STEPS), device=place)
    elif model == "mlp":
        network = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, CLASSES)).to(place)
        x = torch.randn(batch, 784, device=place)
    else:
        layers = [*block(1, 8), *block(8, 16), nn.Flatten(), nn.Linear(784, CLASSES)]
        network = nn.Sequential(*layers).to(place)
        x = torch.randn(batch, 1, 28, 28, device=place)
    optimiser = torch.optim.SGD(network.parameters(), lr=RATE, momentum=MOMENTUM)
    y = torch.randint(0, CLASSES, (batch,), device=place)

    def step():
        optimiser.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(network(x), y)
        loss.backward()
        optimiser.step()
        return loss.item()

    return step


def tensorflow_step():
    import keras
    import tensorflow as tf
    from keras import layers

    if device == "cpu":
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    elif not tf.config.list_physical_devices("GPU"):
        raise RuntimeError("TensorFlow sees no GPU")

    def block(filters):
        norm = [layers.BatchNormalization()] if model == "cnn" else []
        return [layers.Conv2D(filters, 3, padding="same"), *norm, layers.ReLU(), layers.MaxPool2D(2)]

    class Places(layers.Layer):
        def build(self, shape):
            self.places = self.add_weight(shape=shape[1:])

        def call(self, x):
            return x + self.places

    def transformer(tokens):
        x = Places()(layers.Embedding(TOKENS, WIDTH)(tokens))
        for _ in range(2):
            normal = layers.LayerNormalization()(x)
            x = x + layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(normal, normal)
            normal = layers.LayerNormalization()(x)
            x = x + layers.Dense(WIDTH)(layers.Dense(4 * WIDTH, activation="gelu")(normal))
        return layers.Dense(CLASSES)(layers.GlobalAveragePooling1D()(x))

    if model == "transformer":
        tokens = keras.Input((STEPS,), dtype="int32")
        network = keras.Model(tokens, transformer(tokens))
        x = tf.random.uniform((batch, STEPS), 0, TOKENS, tf.int32)
    elif model == "mlp":
        shape, stack = (784,), [layers.Dense(128, activation="relu"), layers.Dense(CLASSES)]
    else:
        shape, stack = (28, 28, 1), [*block(8), *block(16), layers.Flatten(), layers.Dense(CLASSES)]
    if model != "transformer":
        network = keras.Sequential([keras.Input(shape), *stack])
        x = tf.random.normal((batch, *shape))
    optimiser = keras.optimizers.SGD(RATE, momentum=MOMENTUM)
    optimiser.build(network.trainable_variables)
    y = tf.random.uniform((batch,), 0, CLASSES, tf.int32)

    @tf.function
    def train(x, y):
        with tf.GradientTape() as tape:
            logits = network(x, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))
        optimiser.apply_gradients(zip(tape.gradient(loss, network.trainable_variables), network.trainable_variables))
        return loss

    return lambda: float(train(x, y))


step = {"torch": torch_step, "tensorflow": tensorflow_step}[framework]()
for _ in range(5):
    step()


clock = time.process_time if device == "cpu" else time.perf_counter


def turn():
    """A quarter of a second of steps, so that it holds its share of what happens now and then. Returns seconds a step."""
    steps, start = 0, clock()
    while clock() - start < 0.25:
        step()
        steps += 1
    return (clock() - start) / steps


start, turns = clock(), []
while len(turns) < 2 or clock() - start < seconds:
    turns.append(turn())
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"perSecond": batch / sorted(turns)[len(turns) // 4], "peakBytes": peak}))
