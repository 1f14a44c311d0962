"""The types of NumPy columns, by what they hold."""

from typing import Any

import numpy as np

Bools = np.ndarray[Any, np.dtype[np.bool_]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
ModelFloats = np.ndarray[Any, np.dtype[np.float32]]
"""What a model gives or reads."""
