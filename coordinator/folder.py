# SPDX-License-Identifier: Apache-2.0
"""A federation's folder (0700): where everything of one coordinator lies. Reading it changes nothing.

federation.toml      the recipe, every setting explained
keys/                0700: coordinator.key signs what is sent, log.key signs checkpoints; 0600, never written over
pki/                 0700: the federation's CA and the server's certificate; revoked.jsonl, what was taken back
door/<site>.pem      the client certificates that open the door, newest first: what is not there is not let in
roster/<site>.json   an admitted site's Enrolment, as it came
kits/<site>.json     the signed start kit, made anew at each admission; only the certificate differs between sites
model/               model.json and initial.safetensors, from `collab-client describe`
log.sqlite, log.vkey, blobs/   all that an auditor needs
SIMULATED            marks a folder whose keys follow a known seed
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from coordinator.settings import FederationSettings
from privacy.base.errors import SettingsError
from privacy.commandline.settings_file import load_toml
from privacy.log.keys import SigningKey

SIMULATED_MARKER: Final = "SIMULATED"


class FederationFolder:
    """A coordinator's folder on disk. Raises SettingsError when federation.toml is missing or wrong."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        if not self.toml.exists():
            raise SettingsError(
                f"{root.name or root} is no federation's folder: there is no federation.toml in it",
                next_step="collab-coordinator init DIR",
            )
        self.settings: FederationSettings = load_toml(self.toml, FederationSettings)

    @property
    def toml(self) -> Path:
        return self.root / "federation.toml"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def pki(self) -> Path:
        return self.root / "pki"

    @property
    def door(self) -> Path:
        return self.root / "door"

    @property
    def roster(self) -> Path:
        return self.root / "roster"

    @property
    def kits(self) -> Path:
        return self.root / "kits"

    @property
    def log(self) -> Path:
        return self.root / "log.sqlite"

    @property
    def log_vkey(self) -> Path:
        return self.root / "log.vkey"

    @property
    def blobs(self) -> Path:
        return self.root / "blobs"

    @property
    def contract(self) -> Path:
        return self.root / "model" / "model.json"

    @property
    def initial_model(self) -> Path:
        return self.root / "model" / "initial.safetensors"

    @property
    def simulated(self) -> bool:
        """True where the coordinator's keys follow a known seed."""
        return (self.root / SIMULATED_MARKER).exists()

    @property
    def name(self) -> str:
        """The federation's name, fixed by its log: the origin is `collab/<name>`."""
        return self.log_vkey.read_text().split("+")[0].removeprefix("collab/")

    def coordinator_key(self) -> SigningKey:
        """Signs deliveries and start kits."""
        return SigningKey.load(self.keys / "coordinator.key")

    def log_key(self) -> SigningKey:
        """Signs the log's checkpoints."""
        return SigningKey.load(self.keys / "log.key")
