// Draws the cells, points and distance of one prediction, and steps through the others.
// `data` is what trainers/plots/map_page.py wrote; its text only ever enters the page as textContent.
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const make = (tag, properties) => Object.assign(document.createElement(tag), properties);
  const svg = $("map");
  const cells = [...$("cells").children];
  const numberOf = new Map(cells.map((path, cell) => [path, cell]));
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const land = $("cells").getBBox();

  let current = 0, probabilities = [], found = -1;
  let line = [];  // the great circle of the current entry, [x, y] in the units of the paths
  let scale = 1, left = 0, top = 0, moved = false;  // screen = scale * units + (left, top), in pixels
  let size = { width: 0, height: 0 };

  // Probabilities are little-endian 16-bit parts of data.probability_steps, in base64.
  const probabilitiesOf = (text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    return Array.from({ length: bytes.length / 2 }, (_, i) => view.getUint16(2 * i, true) / data.probability_steps);
  };

  const percent = (p) => {
    if (p < 0.0001) return "below 0.01 %";
    return (100 * p).toFixed(p < 0.01 ? 2 : p < 0.1 ? 1 : 0) + " %";
  };

  const ramp = () => dark.matches ? data.dark_ramp : data.ramp;
  const colourOf = (weight) => {
    const at = weight * (ramp().length - 1);
    const low = Math.min(Math.floor(at), ramp().length - 2);
    const [from, to] = [low, low + 1].map((i) => [1, 3, 5].map((start) => parseInt(ramp()[i].slice(start, start + 2), 16)));
    return `rgb(${from.map((value, i) => Math.round(value + (at - low) * (to[i] - value))).join(",")})`;
  };

  const pair = (point) => point.map((degrees) => degrees.toFixed(3)).join(", ");
  const nameOf = (cell) => data.names.length ? `${cell} ${data.names[cell]}` : `${cell}`;
  const cellText = (cell) => `Cell ${nameOf(cell)}: ${percent(probabilities[cell])}`;
  const toScreen = ([x, y]) => [scale * x + left, scale * y + top];

  function setView(newScale, newLeft, newTop) {
    scale = newScale;
    // The middle of the window stays over the land, so that the map cannot get lost.
    const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
    left = clamp(newLeft, size.width / 2 - scale * (land.x + land.width), size.width / 2 - scale * land.x);
    top = clamp(newTop, size.height / 2 - scale * (land.y + land.height), size.height / 2 - scale * land.y);
    $("world").setAttribute("transform", `matrix(${scale} 0 0 ${scale} ${left} ${top})`);
    placeMarks();
    drawBar("km", data.km_per_unit, "km");
    drawBar("miles", data.km_per_unit / data.km_per_mile, "mi");
  }

  // Moves the map by (dx, dy) pixels and makes it larger by a factor round (x, y).
  function move(dx, dy, factor = 1, x = size.width / 2, y = size.height / 2) {
    const next = Math.min(Math.max(scale * factor, fitScale(land) / 4), fitScale(land) * 4000);
    moved = true;
    setView(next, x + dx - (x - left) * next / scale, y + dy - (y - top) * next / scale);
  }

  const fitScale = (box) => Math.min((size.width - 36) / box.width, (size.height - 36) / box.height);

  function fit() {
    const xs = [land.x, land.x + land.width, ...line.map((point) => point[0])];
    const ys = [land.y, land.y + land.height, ...line.map((point) => point[1])];
    const [x, y] = [Math.min(...xs), Math.min(...ys)];
    const box = { width: Math.max(...xs) - x, height: Math.max(...ys) - y };
    const fitted = fitScale(box);
    moved = false;
    setView(fitted, size.width / 2 - fitted * (x + box.width / 2), size.height / 2 - fitted * (y + box.height / 2));
  }

  // The longest of 1, 2, 3 or 5 times a power of ten that is at most 140 pixels long.
  function drawBar(id, perUnit, name) {
    const longest = 140 / scale * perUnit;
    const power = 10 ** Math.floor(Math.log10(longest));
    const length = [5, 3, 2, 1].find((digit) => digit * power <= longest) * power;
    $(id).textContent = `${length.toLocaleString("en")} ${name}`;
    $(id).style.width = `${length / perUnit * scale}px`;
  }

  const placeLabel = (id, [x, y], shift) => $(id).style.transform = `translate(${x}px, ${y}px) translate(${shift})`;

  function placeMarks() {
    if (!line.length) return;
    const [start, end] = [line[0], line[line.length - 1]].map(toScreen);
    $("true-mark").setAttribute("transform", `translate(${start})`);
    $("predicted-mark").setAttribute("transform", `translate(${end})`);
    // On a line too short for it the label goes above both ends, so as to cover neither.
    const long = Math.abs(start[0] - end[0]) > 240 || Math.abs(start[1] - end[1]) > 90;
    const upper = start[1] < end[1] ? start : end;
    const place = long ? toScreen(line[Math.floor(line.length / 2)]) : upper;
    placeLabel("length", place, long ? "-50%, -50%" : "-50%, calc(-100% - 14px)");
    if (found < 0) return;
    const box = cells[found].getBBox();
    placeLabel("found-tip", toScreen([box.x + box.width / 2, box.y + box.height / 2]), "-50%, -50%");
  }

  function fillTable() {
    const best = probabilities.map((p, cell) => [p, cell]).sort((a, b) => b[0] - a[0] || a[1] - b[1]).slice(0, 5);
    $("top").replaceChildren(...best.map(([p, cell]) => {
      const row = make("tr"), button = make("button", { type: "button", textContent: nameOf(cell), onclick: () => lookUp(cell) });
      button.setAttribute("aria-label", `Show cell ${cell} on the map`);
      row.insertCell().append(button);
      row.insertCell().textContent = percent(p);
      return row;
    }));
  }

  function lookUp(cell) {
    found = Number.isInteger(cell) && cell >= 0 && cell < cells.length ? cell : -1;
    $("cell").value = found >= 0 ? found : "";
    $("found").textContent = found >= 0 ? percent(probabilities[found]) : "";
    $("found-cell").setAttribute("d", found >= 0 ? cells[found].getAttribute("d") : "");
    $("found-tip").textContent = found >= 0 ? cellText(found) : "";
    $("found-tip").hidden = found < 0 || !cells[found].getAttribute("d");
    placeMarks();
  }

  function pointAt(event) {
    const cell = numberOf.get(event.target) ?? -1;
    $("pointed").setAttribute("d", cell >= 0 ? cells[cell].getAttribute("d") : "");
    $("tip").textContent = cell >= 0 ? cellText(cell) : event.target.dataset.tip ?? "";
    $("tip").hidden = !$("tip").textContent;
    const place = inMap(event);
    placeLabel("tip", place, place[0] > size.width - 180 ? "calc(-100% - 14px), -50%" : "14px, -50%");
  }

  function showViews(views) {
    $("views").replaceChildren(...views.map(([caption, address]) => {
      const figure = make("figure");
      figure.append(make("img", { src: address, alt: `View: ${caption}` }), make("figcaption", { textContent: caption }));
      return figure;
    }));
  }

  function paint() {
    const highest = Math.max(...probabilities);
    cells.forEach((path, cell) => path.setAttribute("fill", colourOf(probabilities[cell] / highest)));
    $("scale").style.background = `linear-gradient(to right, ${ramp().join(",")})`;
    $("half").textContent = percent(highest / 2);
    $("highest").textContent = percent(highest);
  }

  function show(index) {
    current = (index + data.entries.length) % data.entries.length;
    const entry = data.entries[current];
    probabilities = probabilitiesOf(entry.probabilities);
    line = entry.line;
    for (const id of ["rim", "way"]) $(id).setAttribute("points", line.join(" "));
    $("true-mark").dataset.tip = `True point: ${pair(entry.true)}`;
    $("predicted-mark").dataset.tip = `Predicted point: ${pair(entry.predicted)}`;
    paint();
    const outside = ([x, y]) => x < 0 || y < 0 || x > size.width || y > size.height;
    if (!moved || line.map(toScreen).some(outside)) fit();
    $("length").textContent = $("distance").textContent = entry.distance;
    $("location").value = current;
    $("position").textContent = `${current + 1} of ${data.entries.length}`;
    $("truth").textContent = pair(entry.true);
    $("predicted").textContent = pair(entry.predicted);
    showViews(entry.views);
    fillTable();
    lookUp(found);
  }

  const pressed = new Map();  // where each finger or mouse button that is down is, by its id
  let travelled = 0;
  const inMap = (event) => [event.clientX - svg.getBoundingClientRect().x, event.clientY - svg.getBoundingClientRect().y];
  const middle = () => [0, 1].map((i) => [...pressed.values()].reduce((sum, point) => sum + point[i] / pressed.size, 0));
  const spread = () => {
    const [first, second] = pressed.values();
    return second ? Math.hypot(first[0] - second[0], first[1] - second[1]) : 1;
  };

  svg.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    if (!pressed.size) travelled = 0;
    pressed.set(event.pointerId, inMap(event));
    svg.setPointerCapture(event.pointerId);
    svg.classList.add("dragged");
  });
  svg.addEventListener("pointermove", (event) => {
    if (!pressed.has(event.pointerId)) return pointAt(event);
    const before = middle(), wide = spread();
    pressed.set(event.pointerId, inMap(event));
    const [dx, dy] = middle().map((value, i) => value - before[i]);
    travelled += Math.hypot(dx, dy) + Math.abs(spread() - wide);
    // A hand that taps trembles.
    if (travelled < 4) return;
    move(dx, dy, spread() / wide, ...before);
  });
  const release = (event) => {
    if (!pressed.delete(event.pointerId) || pressed.size) return;
    svg.classList.remove("dragged");
    const under = document.elementFromPoint(event.clientX, event.clientY);
    if (event.type === "pointerup" && travelled < 4) lookUp(numberOf.get(under) ?? -1);
  };
  svg.addEventListener("pointerup", release);
  svg.addEventListener("pointercancel", release);
  svg.addEventListener("pointerleave", () => {
    $("tip").hidden = true;
    $("pointed").setAttribute("d", "");
  });
  svg.addEventListener("wheel", (event) => {
    event.preventDefault();
    move(0, 0, 2 ** (-event.deltaY * (event.deltaMode ? 30 : 1) / 250), ...inMap(event));
  }, { passive: false });
  svg.addEventListener("dblclick", (event) => move(0, 0, 2, ...inMap(event)));
  const larger = () => move(0, 0, 1.4), smaller = () => move(0, 0, 1 / 1.4);
  const steps = {
    ArrowLeft: () => move(80, 0), ArrowRight: () => move(-80, 0), ArrowUp: () => move(0, 80),
    ArrowDown: () => move(0, -80), "+": larger, "=": larger, "-": smaller, 0: fit,
  };
  svg.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey || !step) return;
    event.preventDefault();
    step();
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT)$/.test(event.target.tagName)) return;
    if (event.key === "n") show(current + 1);
    if (event.key === "p") show(current - 1);
  });
  $("in").addEventListener("click", larger);
  $("out").addEventListener("click", smaller);
  $("fit").addEventListener("click", fit);
  $("location").addEventListener("change", (event) => show(Number(event.target.value)));
  $("previous").addEventListener("click", () => show(current - 1));
  $("next").addEventListener("click", () => show(current + 1));
  $("cell").addEventListener("input", (event) => lookUp(event.target.value === "" ? -1 : Number(event.target.value)));
  dark.addEventListener("change", paint);

  // One path for all: with 10,000 strokes a step of zooming took three times as long.
  $("borders").setAttribute("d", cells.map((path) => path.getAttribute("d")).join(""));
  $("borders").setAttribute("stroke-width", cells.length > 1000 ? 0.2 : 0.6);
  $("cell").max = cells.length - 1;
  $("location").append(...data.entries.map((entry, i) => new Option(`${entry.distance.split(" (")[0]}: ${entry.name}`, i)));
  $("previous").disabled = $("next").disabled = data.entries.length < 2;
  size = { width: svg.clientWidth, height: svg.clientHeight };
  show(data.selected);
  new ResizeObserver(() => {
    const before = size;
    size = { width: svg.clientWidth, height: svg.clientHeight };
    if (moved) setView(scale, left + (size.width - before.width) / 2, top + (size.height - before.height) / 2);
    else fit();
  }).observe(svg);
})();
