"""Arguments of the commands that score sentences."""

from __future__ import annotations

from typing import Annotated, Any

import typer

_PANEL = "Training"


def _option(name: str, help: str, **more: Any) -> Any:
    return typer.Option(name, help=help, rich_help_panel=_PANEL, **more)


Aggregate = Annotated[
    str,
    _option("--aggregate", "A response is right if all sentences are (min), if any is (max); avg."),
]
Form = Annotated[str, _option("--form", "Of min and max: hard, soft, product or power.")]
BagLoss = Annotated[str, _option("--bag_loss", "bce or mse.")]
Weights = Annotated[
    str,
    _option(
        "--weights",
        "Of bag, cosine and correlation loss, e.g. 0.8,0.1,0.1; or auto, chosen by responses that "
        "are not trained on.",
    ),
]
Rounds = Annotated[int, _option("--rounds", "Of pseudo-labels.", min=0)]
Plain = Annotated[
    bool,
    _option("--plain", "Show the network question and sentence side by side, as the paper, only."),
]
Calibrator = Annotated[
    str,
    _option(
        "--calibrator",
        "Of scores of sentences, where labels of some are known: platt, beta, isotonic, histogram "
        "or temperature.",
    ),
]
Epochs = Annotated[int, _option("--epochs", "At most.", min=1)]
LearningRate = Annotated[float, _option("--learning_rate", "Of AdamW.")]
Seed = Annotated[int, _option("--seed", "Of weights and order.")]

Split = Annotated[
    str, typer.Option(help="sentences; or steps: empty lines, else lines, else sentences.")
]
Preceding = Annotated[
    bool, typer.Option("--preceding", help="Show each sentence with those before it.")
]
InContext = Annotated[
    bool,
    typer.Option(
        "--in_context",
        help="Have the encoder, a language model, read question and response once, and take its state "
        "at each sentence's end.",
    ),
]
EncoderName = Annotated[
    str,
    typer.Option(
        "--encoder",
        help="A sentence-transformers or transformers model: a name on the hub, or a folder.",
    ),
]
Store = Annotated[
    str | None,
    typer.Option("--store", help="Folder in which embeddings are kept.", show_default=False),
]
OtherEncoder = Annotated[
    str, typer.Option("--encoder", help="In place of the one the scorer names.", show_default=False)
]
Device = Annotated[str | None, typer.Option(help="E.g. cpu.", show_default=False)]
