"""S1 Fig. 2d-f: the risk against data at fixed times, and against time, at fixed model size."""

from experiments.papers.bordelon2024.figure2_model_size import show
from experiments.papers.row import Script

main = Script(
    name="S1-2d-f",
    title="Risk against data, and its three exponents",
    source="Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), Fig. 2d-f",
    claim="finite data add 1/P at early times, cost P^-(a-1) at late ones, and learn as t^-(a-1)/b in between",
    show=show,
    full=dict(axis="samples", sizes=(32, 64, 128, 256, 512, 1024, 2048), seeds=16, modes=10_000),
    smoke=dict(axis="samples", sizes=(32, 64, 128), seeds=4, modes=1000),
)
