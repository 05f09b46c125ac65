"""Where thresholds come from, as findings name it."""

from ecg_r1.limits import BRADY, CHOU, MINNESOTA, PART3, PART4, PART5, UDMI

ESC_PERI = "ESC 2015 pericardial diseases (Adler)"
SGARBOSSA = "Sgarbossa 1996"
SVT = "ACC/AHA/HRS 2015 supraventricular tachycardia (Page)"
REVERSAL = "Batchvarov 2007"
WHO_ISFC = "WHO/ISFC 1985 (Willems)"

__all__ = [
    "BRADY",
    "CHOU",
    "ESC_PERI",
    "MINNESOTA",
    "PART3",
    "PART4",
    "PART5",
    "REVERSAL",
    "SGARBOSSA",
    "SVT",
    "UDMI",
    "WHO_ISFC",
]
