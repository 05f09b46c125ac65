// Contrast of every visible letter with what lies behind it, from computed styles.
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const rgba = (colour) => {
    if (!known.has(colour)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      known.set(colour, [...canvas.getImageData(0, 0, 1, 1).data].map((part) => part / 255));
    }
    return known.get(colour);
  };
  const over = (top, ground) => {
    const a = top[3];
    return [0, 1, 2].map((i) => top[i] * a + ground[i] * (1 - a)).concat(1);
  };
  const ground = (element) => {
    const layers = [];
    for (let each = element; each; each = each.parentElement) {
      layers.push(rgba(getComputedStyle(each).backgroundColor));
      if (layers.at(-1)[3] === 1) break;
    }
    return layers.reduceRight((below, layer) => over(layer, below), [1, 1, 1, 1]);
  };
  const light = (colour) => {
    const [r, g, b] = colour.map((p) => (p <= 0.04045 ? p / 12.92 : ((p + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const judge = (element, text, colour, style) => {
    let faded = 1;
    for (let each = element; each; each = each.parentElement)
      faded *= parseFloat(getComputedStyle(each).opacity);
    const behind = ground(element);
    const [r, g, b, a] = rgba(colour);
    const pair = [light(over([r, g, b, a * faded], behind)), light(behind)];
    const px = parseFloat(style.fontSize);
    // Large: 18 pt, or 14 pt and bold; a point is 4/3 pixels.
    const large = px >= 24 || (px >= 18.66 && parseInt(style.fontWeight) >= 700);
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    found.push({
      text: text.trim().slice(0, 60),
      ratio: Math.round(100 * ratio) / 100,
      needed: large ? 3 : 4.5,
      where: element.tagName + "." + element.getAttribute("class"),
      colour,
      behind: behind.map((part) => Math.round(255 * part)).join(),
    });
  };
  const visible = (element) => {
    const box = element.getBoundingClientRect();
    const shown = element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true });
    // What cannot be used is exempt, and so is what only a screen reader gets.
    return shown && box.width > 1 && box.height > 1 &&
      !element.closest("[disabled], [aria-disabled=true], [aria-hidden=true] > .sr-only");
  };
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (words.nextNode()) {
    const element = words.currentNode.parentElement;
    const text = words.currentNode.textContent;
    if (!text.trim() || /^(SCRIPT|STYLE|NOSCRIPT)$/.test(element.tagName) || !visible(element))
      continue;
    const style = getComputedStyle(element);
    judge(element, text, element.closest("svg") ? style.fill : style.color, style);
  }
  for (const field of document.querySelectorAll("input, textarea")) {
    if (!visible(field) || /^(radio|checkbox|range|file)$/.test(field.type)) continue;
    if (field.value) judge(field, field.value, getComputedStyle(field).color, getComputedStyle(field));
    else if (field.placeholder) {
      const style = getComputedStyle(field, "::placeholder");
      judge(field, field.placeholder, style.color, style);
    }
  }
  return found;
}
