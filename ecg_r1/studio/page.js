// A click on a claim: its stretches on the trace, and the measured value beside the claimed one.
// A click on the page: the same over the whole screen.
(() => {
  let opened = null;
  let shown = [];

  const plot = () => document.querySelector("#trace .js-plotly-plot");
  const axis = (figure, letter, panel) =>
    figure._fullLayout[letter + "axis" + (panel === 1 ? "" : panel)];

  function draw() {
    document.querySelectorAll(".claim-window").forEach((each) => each.remove());
    const figure = plot();
    if (!figure || !figure._fullLayout) return;
    for (const [panel, start, end] of shown) {
      const x = axis(figure, "x", panel);
      const y = axis(figure, "y", panel);
      if (!x || !y) continue;
      const left = Math.max(0, x.d2p(start));
      const right = Math.min(x._length, x.d2p(end));
      if (right <= left) continue;
      const mark = document.createElement("div");
      mark.className = "claim-window";
      mark.style.left = x._offset + left - 3 + "px";
      mark.style.width = right - left + 6 + "px";
      mark.style.top = y._offset + "px";
      mark.style.height = y._length + "px";
      figure.style.position = "relative";
      figure.appendChild(mark);
    }
    if (figure.on && !figure.dataset.claims) {
      figure.dataset.claims = "1";
      figure.on("plotly_afterplot", draw); // zoomed, resized or drawn anew
    }
  }

  function line(list, name, words) {
    const term = document.createElement("dt");
    const told = document.createElement("dd");
    term.textContent = name;
    told.textContent = words;
    list.append(term, told);
  }

  function button(words, act) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = words;
    made.addEventListener("click", act);
    return made;
  }

  function close() {
    document.getElementById("claim-card")?.remove();
    opened?.classList.remove("open");
    opened?.focus();
    opened = null;
    shown = [];
    draw();
  }

  function open(from) {
    const all = JSON.parse(from.closest("[data-claims]").dataset.claims);
    const claims = from.dataset.ids.split(",").map((index) => all[index]);
    document.getElementById("claim-card")?.remove();
    opened?.classList.remove("open");
    opened = from;
    from.classList.add("open");
    shown = claims.flatMap((claim) => claim.places);
    draw();
    const card = document.createElement("aside");
    card.id = "claim-card";
    card.setAttribute("role", "dialog");
    card.setAttribute("aria-label", "The claim against what was measured");
    for (const claim of claims) {
      const title = document.createElement("h3");
      const badge = document.createElement("span");
      badge.className = "badge " + claim.kind;
      badge.textContent = claim.sign + " " + claim.verdict;
      title.append("\u201c" + claim.text + "\u201d ", badge);
      const list = document.createElement("dl");
      line(list, "Claimed", claim.claimed);
      line(list, "Measured", claim.measured);
      line(list, "Why", claim.reason);
      line(list, "Leads", claim.leads.join(", ") || "the whole record");
      card.append(title, list);
    }
    const row = document.createElement("div");
    row.className = "row";
    if (shown.length) {
      row.append(
        button("Show on the trace", () => plot()?.scrollIntoView({ block: "center" })),
      );
    }
    row.append(button("Back to the sentence", () => {
      const back = opened;
      close();
      back.scrollIntoView({ block: "center" });
    }));
    card.append(row);
    document.querySelector(".gradio-container").append(card);
    row.querySelector("button").focus({ preventScroll: true });
  }

  document.addEventListener("click", (event) => {
    const claim = event.target.closest?.("button.claim");
    if (claim) open(claim);
    event.target.closest?.(".seen button")?.querySelector("img").requestFullscreen();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && opened) close();
  });
  // What was said of one ECG is not to stand beside the next one.
  new MutationObserver(() => {
    if (opened && !opened.isConnected) close();
  }).observe(document, { childList: true, subtree: true });
})();
