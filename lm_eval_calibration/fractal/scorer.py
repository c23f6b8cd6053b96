"""`SentenceScorer`: the trained network with everything that is needed to score new responses."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from scipy.special import expit

from lm_eval_calibration.arguments import built
from lm_eval_calibration.calibrators.artifact import Artifact, Tensors, Training
from lm_eval_calibration.calibrators.calibrator import Calibrator
from lm_eval_calibration.calibrators.validity import bounded, finite
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.fractal.bags import Bags
from lm_eval_calibration.fractal.judging import beliefs, log_odds
from lm_eval_calibration.fractal.losses import Weights
from lm_eval_calibration.fractal.network import SMALLEST_SPREAD, SentenceNetwork
from lm_eval_calibration.fractal.reading import SentenceReading
from lm_eval_calibration.fractal.settings import FractalSettings
from lm_eval_calibration.predictions import Floats, Predictions
from lm_eval_calibration.redact import redact

OF_SENTENCES = "sentences/"
"""Before the names of the tensors of the sentences' calibrator."""


class SentenceScorer(Artifact):
    """Scores of sentences, and the confidence in a response that they add up to.

    Args:
        network: trained.
        settings: it was trained with; the weights that were chosen among them.
        reading: of texts.
        training: the documents it was trained on.
        calibrator: of the sentences' scores, fitted where labels of sentences were known.
        about: how training went.
    """

    def __init__(
        self,
        network: SentenceNetwork,
        settings: FractalSettings,
        reading: SentenceReading,
        training: Training,
        calibrator: Calibrator | None = None,
        about: dict[str, Any] | None = None,
    ) -> None:
        self.network = network.eval()
        self.settings, self.reading = settings, reading
        self.training, self.calibrator = training, calibrator
        self.about = about or {}

    @property
    def method(self) -> str:
        """Its kind."""
        return "fractal"

    def scores(self, bags: Bags) -> Floats:
        """(M,) probability of each sentence to be right.

        Raises:
            InvalidInputError: embeddings of another size than the network was trained on.
        """
        return calibrated(expit(self._log_odds(bags).double().numpy()), self.calibrator)

    def confidences(self, bags: Bags) -> Floats:
        """(N,) probability of each response to be right: the aggregate that was trained."""
        belief = beliefs(self._log_odds(bags), bags, self.settings)
        return np.exp(belief.log_right.double().numpy())

    def _log_odds(self, bags: Bags) -> torch.Tensor:
        expected = self.network.inputs
        if bags.inputs.shape[1] != expected:
            raise invalid(
                "bags",
                f"embeddings of {expected} numbers in all, as of `{self.reading.encoder}`",
                bags.inputs.shape[1],
            )
        return log_odds(self.network, bags)

    def describe(self) -> dict[str, Any]:
        """Settings, reading and how training went."""
        return {
            "settings": asdict(self.settings),
            "reading": redact(asdict(self.reading)),
            "calibrator": self.calibrator
            and {
                "method": self.calibrator.method,
                **self.calibrator.describe(),
            },
            "inputs": self.network.inputs,
            "embedding": self.network.embedding,
            "about": self.about,
        }

    def tensors(self) -> Tensors:
        """The network's, and those of the sentences' calibrator."""
        found = {name: value.numpy() for name, value in self.network.state_dict().items()}
        if self.calibrator is not None:
            found |= {OF_SENTENCES + k: v for k, v in self.calibrator.tensors().items()}
        return found

    @classmethod
    def restore(
        cls, config: dict[str, Any], tensors: Tensors, training: Training
    ) -> SentenceScorer:
        """The scorer of its files.

        Raises:
            InvalidInputError: the files are of another kind, or do not fit together.
        """
        if config["method"] != "fractal":
            raise invalid("scorer", "a folder of `lm-calib fit fractal`", f"a {config['method']}'s")
        of_sentences = {
            name.removeprefix(OF_SENTENCES): tensors.pop(name)
            for name in list(tensors)
            if name.startswith(OF_SENTENCES)
        }
        calibrator = None
        if config["calibrator"] is not None or of_sentences:
            calibrator = Calibrator.restore(config["calibrator"], of_sentences, training)
        told = dict(config["settings"])
        told["weights"] = None if told["weights"] is None else Weights(*told["weights"])
        settings, reading = built(FractalSettings, told), built(SentenceReading, config["reading"])
        inputs, embedding = config["inputs"], config["embedding"]
        if not (type(inputs) is type(embedding) is int and 1 <= embedding <= inputs):
            raise invalid(
                "inputs", "a whole number, at least `embedding`", f"{inputs!r}, {embedding!r}"
            )
        finite(tensors)
        bounded(tensors, "spread", (None,), SMALLEST_SPREAD)
        try:
            with torch.device("meta"):  # nothing is allocated for what the file does not hold
                network = SentenceNetwork(inputs, embedding, settings.hidden, settings.interaction)
            weights = {k: torch.from_numpy(v).float() for k, v in tensors.items()}
            network.load_state_dict(weights, assign=True)
        except (RuntimeError, TypeError, OverflowError) as error:
            raise InvalidInputError(f"The scorer's weights do not fit: {error}") from error
        return cls(
            network,
            settings,
            reading,
            training,
            calibrator,
            dict(config["about"]),
        )


def calibrated(scores: Floats, calibrator: Calibrator | None) -> Floats:
    """(M,) scores of sentences, mapped."""
    if calibrator is None or not len(scores):
        return scores
    unknown = np.zeros(len(scores), dtype=bool)
    return calibrator.transform(Predictions.from_confidences(scores, unknown)).confidence
