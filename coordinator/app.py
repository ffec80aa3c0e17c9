# SPDX-License-Identifier: Apache-2.0
"""Run a federation's folder: make its recipe, open its log, and tell the rounds over a grid.

A run that is in the log already goes on with what it was opened with. The noise is calibrated in another process, since
the accountant (Opacus PRV) needs torch and this process never imports it.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Protocol, cast

from pydantic import JsonValue

from coordinator.blobs import BlobStore
from coordinator.folder import FederationFolder
from coordinator.journal import Journal
from coordinator.planning import Recipe, run_outline
from coordinator.provision import certificates_kept_fresh, roster
from coordinator.readiness import load_contract
from coordinator.replies import HEADROOM
from coordinator.rounds import OnEntry, Rounds
from coordinator.settings import FederationSettings
from coordinator.wire.message_exchange import MessageExchange
from privacy.base.canonical import DecimalString, digest_of
from privacy.base.errors import SettingsError
from privacy.base.files import private_folder
from privacy.base.identifiers import sha256
from privacy.base.randomness import PublicSeed
from privacy.commandline.settings_file import plain, settings_digest
from privacy.protocol.entries import RunClosed, RunOpened
from privacy.protocol.outline import RunOutline
from privacy.update.delta import ModelContract

LONGEST_WAIT_SECONDS = 600.0
"""How long a coordinator that was just started waits for its sites before it says which are missing."""

SOFTWARE = ("collab", "flwr", "numpy", "cryptography", "pydantic", "rfc8785", "safetensors")


class Calibrate(Protocol):
    """The least noise multiplier, as a canonical decimal, that keeps a whole run within a target."""

    def __call__(self, target_epsilon: float, delta: float, sample_rate: float, steps: int) -> DecimalString: ...


def calibrate_elsewhere(target_epsilon: float, delta: float, sample_rate: float, steps: int) -> DecimalString:
    """`privacy.dp.accounting.calibrate` in a process of its own."""
    command = [sys.executable, "-m", "privacy.dp.calibrate"]
    numbers = [repr(target_epsilon), repr(delta), repr(sample_rate), str(steps)]
    done = subprocess.run([*command, *numbers], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SettingsError(
            f"no noise keeps {steps} steps within epsilon {target_epsilon}",
            next_step="plan fewer steps or a lower sample_rate, or allow a higher target_epsilon",
        )
    return str(json.loads(done.stdout)["noise_multiplier"])


def software() -> dict[str, str]:
    """What this process runs: the versions that the log holds."""
    return {"python": platform.python_version()} | {name: version(name) for name in SOFTWARE}


def make_recipe(folder: FederationFolder, calibrate: Calibrate, opened: RunOpened | None) -> Recipe:
    """The recipe of the folder's run: as it was opened, if the log holds it; else from federation.toml as it stands."""
    settings = folder.settings
    contract, initial_model = load_contract(folder), folder.initial_model.read_bytes()
    if opened is None or opened.settings_digest != settings_digest(settings):
        opened = _open(folder, settings, contract, initial_model, calibrate)
    return Recipe(settings, opened, contract, initial_model)


def _noise(settings: FederationSettings, calibrate: Calibrate) -> tuple[DecimalString | None, DecimalString | None]:
    """The noise multipliers of a step and of a count, each over the whole planned run."""
    if settings.privacy.mode != "dp_sgd":
        return None, None
    target = (settings.privacy.target_epsilon, settings.privacy.target_delta)
    steps = settings.training.rounds * settings.training.steps_per_round
    noise = calibrate(*target, settings.training.sample_rate, steps)
    return noise, calibrate(*target, 1.0, settings.evaluations) if settings.evaluations else None


def outline_of(folder: FederationFolder, calibrate: Calibrate = calibrate_elsewhere) -> RunOutline:
    """The whole run as federation.toml and the model in the folder would open it now."""
    return run_outline(folder.settings, load_contract(folder), *_noise(folder.settings, calibrate))


def _open(
    folder: FederationFolder,
    settings: FederationSettings,
    contract: ModelContract,
    initial_model: bytes,
    calibrate: Calibrate,
) -> RunOpened:
    sites = {site: enrolment.roster_site() for site, enrolment in roster(folder).items()}
    if not sites:
        raise SettingsError("no site was admitted", next_step="collab-coordinator admit DIR ENROLMENT")
    noise, counts_noise = _noise(settings, calibrate)
    return RunOpened(
        settings=cast(dict[str, JsonValue], plain(settings)),
        settings_digest=settings_digest(settings),
        roster=sites,
        contract_digest=digest_of(contract),
        initial_model_digest=sha256(initial_model),
        public_seed=PublicSeed.from_integer(settings.run.public_seed).hex(),
        planned_rounds=settings.training.rounds,
        noise_multiplier=noise,
        evaluation_noise_multiplier=counts_noise,
        software=software(),
        simulated=folder.simulated,
        outline=run_outline(settings, contract, noise, counts_noise),
    )


def run_on(
    folder: FederationFolder,
    message_exchange: MessageExchange,
    *,
    on_entry: OnEntry,
    calibrate: Calibrate = calibrate_elsewhere,
    clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    before: Callable[[], None] = lambda: None,
) -> RunClosed:
    """Tell the folder's run to the sites of `message_exchange`, from wherever its log stands to its end.

    `before` is called once, before the first message. Raises Unreachable when too few sites are there.
    """
    with Journal.open(folder.root, folder.log_key(), f"collab/{folder.name}", clock) as journal:
        entries = journal.entries(folder.settings.run.run_id)
        opened = next((entry.body for entry in entries if isinstance(entry.body, RunOpened)), None)
        recipe = make_recipe(folder, calibrate, opened)
        before()
        rounds = Rounds(recipe, journal, BlobStore(folder.blobs), message_exchange, folder.coordinator_key(), on_entry)
        return rounds.run()


def run(root: Path, on_entry: OnEntry, *, on_event: Callable[[str], None] = lambda sentence: None) -> RunClosed:
    """Run the folder over the network: a Flower SuperLink outside with TLS, the rounds inside.

    Raises SettingsError when the port is taken or the certificate has expired, Unreachable when too few sites come.
    """
    from coordinator.wire.superlink import Entrance, flower_grid

    folder = FederationFolder(root)
    settings = folder.settings
    contract = load_contract(folder)
    waiting = min(settings.rounds.deadline_seconds, LONGEST_WAIT_SECONDS)

    def wait() -> None:
        on_event(f"waiting for {settings.rounds.min_sites} sites, {waiting:.0f} s at most")
        message_exchange.wait_online(settings.rounds.min_sites, waiting)

    entrance = Entrance(
        host=settings.network.host,
        port=settings.network.port,
        pki=folder.pki,
        door=folder.door,
        node_keys={site: enrolment.keys.node for site, enrolment in roster(folder).items()},
        max_payload_bytes=contract.payload_bytes + HEADROOM,
    )
    private_folder(folder.root / "superlink")
    with (
        flower_grid(folder.root / "superlink", entrance) as (grid, nodes, superlink),
        certificates_kept_fresh(folder),
    ):
        message_exchange = MessageExchange(grid, nodes)
        closed = run_on(folder, message_exchange, on_entry=on_entry, before=wait)
        if closed.outcome != "stopped":
            superlink.end()
        return closed
