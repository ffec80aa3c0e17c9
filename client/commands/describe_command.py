# SPDX-License-Identifier: Apache-2.0
"""collab-client describe: a task's model and its first values, which every site builds again and compares."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from privacy.commandline.terminal import example, print_facts


def register(app: typer.Typer) -> None:
    """Add the command to collab-client's app."""
    app.command(epilog=example("collab-client describe --task lung/model/task.json"))(describe)


def describe(
    task: Annotated[Path, typer.Option(metavar="FILE", help="model/task.json of the federation's folder.")],
    pretrained: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of a BERT; the packaged all-MiniLM-L6-v2 if not given."),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where to write; beside FILE if not given.")] = None,
) -> None:
    """Write model.json and initial.safetensors for a task, so that every site can check them bit for bit."""
    from client.learning.model.pretrained import packaged_folder
    from client.learning.training.contract import describe as describe_model
    from privacy.base.canonical import canonical_bytes, digest_of
    from privacy.base.files import write_whole
    from privacy.base.identifiers import sha256
    from privacy.base.randomness import PublicSeed
    from privacy.protocol.model_request import read_request

    request = read_request(task)
    seed = PublicSeed.from_hex(request.public_seed)
    contract, initial = describe_model(request.task, request.training, pretrained or packaged_folder(), seed)
    folder = out or task.parent
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "initial.safetensors", initial)
    write_whole(folder / "model.json", canonical_bytes(contract))
    facts: dict[str, object] = {
        "task": contract.task.name,
        "labels": len(contract.task.labels),
        "trained values": f"{contract.size:,}",
        "pretrained digest": contract.pretrained_digest,
        "tokenizer digest": contract.tokenizer_digest,
        "contract digest": digest_of(contract),
        "initial model": sha256(initial),
    }
    print_facts(f"Wrote {folder}/model.json and initial.safetensors", facts)
