"""How the studio looks: its theme in light and dark, its styles, and its one script."""

from html import escape
from pathlib import Path

import gradio as gr

from ecg_r1 import DISCLAIMER

_HERE = Path(__file__).parent

THEME = gr.themes.Soft(
    primary_hue="teal",
    secondary_hue="teal",
    neutral_hue="slate",
    font=["system-ui", "sans-serif"],  # what the visitor's machine has: nothing is fetched
    font_mono=["ui-monospace", "monospace"],
).set(
    body_background_fill="*neutral_50",
    body_background_fill_dark="*neutral_950",
    body_text_color_subdued="*neutral_600",
    body_text_color_subdued_dark="*neutral_300",
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_dark="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_hover_dark="*primary_600",
    # White letters need 4.5:1, which the theme's own lighter teal does not give.
    block_label_background_fill_dark="*primary_800",
    block_title_background_fill_dark="*primary_800",
    checkbox_label_background_fill_selected="*primary_700",
    checkbox_label_background_fill_selected_dark="*primary_700",
    checkbox_background_color_selected="*primary_900",
    checkbox_background_color_selected_dark="*primary_900",
    input_placeholder_color="*neutral_500",
    input_placeholder_color_dark="*neutral_300",
    block_label_text_color="*primary_800",
    block_title_text_color="*primary_800",
)
CSS = (_HERE / "page.css").read_text(encoding="utf-8")
HEAD = f"<script>{(_HERE / 'page.js').read_text(encoding='utf-8')}</script>"
MASTHEAD = f"""<div class="masthead"><h1>ECG-R1 Studio</h1>
<p class="lead">One ECG, read three ways: from its signal, from its image, and from both.</p>
<p class="disclaimer" role="note">{escape(DISCLAIMER)}</p></div>"""
