# SPDX-License-Identifier: Apache-2.0
"""`python -m privacy.dp.calibrate TARGET_EPSILON DELTA SAMPLE_RATE STEPS`: a noise multiplier as one line of JSON.

For whoever must not import torch: the coordinator asks in a process of its own.
"""

from __future__ import annotations

import json
import sys

from privacy.base.canonical import DecimalString, decimal_string
from privacy.base.errors import CollabError
from privacy.dp.accounting import calibrate


def noise_multiplier(target_epsilon: float, delta: float, sample_rate: float, steps: int) -> DecimalString:
    """`privacy.dp.accounting.calibrate` as a plan writes it."""
    return decimal_string(calibrate(target_epsilon, delta, sample_rate, steps))


def main(arguments: list[str]) -> int:
    """Print {"noise_multiplier": "..."}; exit 2 with a sentence on stderr when there is none."""
    try:
        target_epsilon, delta, sample_rate = (float(text) for text in arguments[:3])
        print(json.dumps({"noise_multiplier": noise_multiplier(target_epsilon, delta, sample_rate, int(arguments[3]))}))
    except (CollabError, ValueError, IndexError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
