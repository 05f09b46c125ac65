"""The criteria of all five phases, in the order in which findings are listed."""

from ecg_r1.protocol.chambers import CHAMBERS
from ecg_r1.protocol.conduction import CONDUCTION
from ecg_r1.protocol.electrolytes import ELECTROLYTES
from ecg_r1.protocol.ischaemia import ISCHAEMIA
from ecg_r1.protocol.model import Criterion
from ecg_r1.protocol.rhythm import RHYTHM

CRITERIA: tuple[Criterion, ...] = (
    *RHYTHM, *CONDUCTION, *CHAMBERS, *ISCHAEMIA, *ELECTROLYTES,
)  # fmt: skip
