"""`lm-calib swag export`: draws as adapters, and how to use them."""

from __future__ import annotations

from pathlib import Path

import typer

from lm_eval_calibration.cli.progress import counting
from lm_eval_calibration.swag.adapters import save
from lm_eval_calibration.swag.mixture import Mixture


def export(mixture: Mixture, output: Path, overwrite: bool) -> None:
    """Write the adapters, and print the commands that use them."""
    members, samples = mixture.shape
    with counting("drawing", members * samples) as progress:
        made = save(mixture, output, overwrite=overwrite, progress=progress)
    count = f"{members * samples:,} draws ({made.method}) and the mean"
    typer.echo(f"{count}: {output.resolve()}")
    modules = f'$(for d in "{output}"/*/; do echo "$(basename $d)=$d"; done)'
    typer.echo(
        f"\nvLLM:    lm_eval --model adapters --model_args base=vllm,pretrained=X,adapters={output} --tasks ...\n"
        f"server:  vllm serve X --enable-lora --max-lora-rank {made.room} \\\n"
        f"             --lora-target-modules {' '.join(made.targets)} --lora-modules {modules}\n"
        "         lm_eval --model adapters --model_args "
        f"base=local-completions,model=X,base_url=URL,adapters={output} --tasks ..."
    )
