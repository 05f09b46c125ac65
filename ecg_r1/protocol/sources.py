"""Where thresholds come from, as findings name it."""

from ecg_r1.limits import BRADY, CHOU, PART3, PART4, PART5, UDMI

ESC_PERI = "ESC 2015 pericardial diseases (Adler)"
SGARBOSSA = "Sgarbossa 1996"
SVT = "ACC/AHA/HRS 2015 supraventricular tachycardia (Page)"
REVERSAL = "Batchvarov 2007"

__all__ = [
    "BRADY",
    "CHOU",
    "ESC_PERI",
    "PART3",
    "PART4",
    "PART5",
    "REVERSAL",
    "SGARBOSSA",
    "SVT",
    "UDMI",
]
