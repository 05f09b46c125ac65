"""Statements about an ECG, their parsing from text and their check against the trace."""

from ecg_r1.claims.schema import Claim, kind_of

__all__ = ["Claim", "kind_of"]
