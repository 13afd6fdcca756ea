"""The base of all groups of settings: frozen, without unknown keys, and without NaN or infinite numbers."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A group of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
