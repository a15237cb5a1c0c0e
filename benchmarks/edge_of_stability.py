"""Where trainings on all rows settle: the learning rate as a share of the measured border, while the loss still falls.

python -m benchmarks.edge_of_stability
"""

import numpy as np
from sklearn import datasets

import fallline as fl
from fallline import nn, optim

CASES = (
    (optim.GradientDescent(0.5), 4000),
    (optim.Momentum(0.5, momentum=0.9), 4000),
    (optim.Nesterov(0.2, momentum=0.9), 4000),
    (optim.RMSProp(1e-3), 3000),
    (optim.Adam(1e-3), 4000),
)


def main() -> None:
    x, labels = datasets.load_digits(return_X_y=True)
    rows = (x / 16)[:1000], np.eye(10)[labels[:1000]]
    for optimizer, epochs in CASES:
        settings = {"epochs": epochs // 4, "batch_size": None, "early_stopping": False}
        network = nn.mlp((64,), 10, "tanh")
        run = fl.fit(network, rows, loss="squared_error", optimizer=optimizer, dtype="float64", **settings)
        shares = [f"{fl.stable_step(run).ratio:.2f}"]
        for _ in range(3):
            run = fl.fit(None, rows, init=run, **settings)
            shares.append(f"{fl.stable_step(run).ratio:.2f}")
        print(f"{optimizer.name:18s} after each quarter of {epochs} steps: {', '.join(shares)}; "
              f"loss {run.history['loss'][-1]:.4f}")  # fmt: skip


if __name__ == "__main__":
    main()
