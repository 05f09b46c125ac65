"""The five-phase protocol: thresholds as data, findings with numbers, diagnoses by rule.

A `Criterion` compares one measured quantity with a sourced threshold and gives a `Finding`; a
`Rule` combines findings into a label. Both are three-valued: what was not measured is neither
met nor excluded but unjudged, with the reason.

Every diagnosis names the findings that made it true (`Findings.support`) and those whose
absence was needed (`Findings.excluded`, the paper's differential exclusion). Leads whose
electrodes seem exchanged are not judged at all.

What this leaves out: hyperacute T waves alone, which healthy hearts imitate, and old infarction
beside left bundle branch block. For education and research only, never a diagnosis.
"""

from ecg_r1.labels import LABELS, Label, canonical, labels_from_scp, labels_from_snomed
from ecg_r1.limits import Limit
from ecg_r1.protocol.apply import apply_protocol
from ecg_r1.protocol.criteria import CRITERIA
from ecg_r1.protocol.model import Criterion, Finding, Findings, Rule, Urgency
from ecg_r1.protocol.rules import ALARMS, RULES

__all__ = [
    "ALARMS",
    "CRITERIA",
    "LABELS",
    "RULES",
    "Criterion",
    "Finding",
    "Findings",
    "Label",
    "Limit",
    "Rule",
    "Urgency",
    "apply_protocol",
    "canonical",
    "labels_from_scp",
    "labels_from_snomed",
]
