// Draws the cells, points and distance of one prediction, and steps through the others.
// `data` is what trainers/plots/map_page.py wrote; its text only ever enters the page as textContent.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const make = (tag, properties) => Object.assign(document.createElement(tag), properties);
  const svg = $("map");
  const cells = [...$("cells").children];
  const numberOf = new Map(cells.map((path, cell) => [path, cell]));
  const dark = matchMedia("(prefers-color-scheme: dark)");

  let current = 0, probabilities = [], found = -1;
  let line = [];  // the great circle of the current entry, [x, y] in the units of the paths
  const view = panZoom({
    svg, world: $("world"), land: $("cells").getBBox(), data, extent: () => line, onView: placeMarks, onPoint: pointAt,
    onTap: (event) => lookUp(numberOf.get(document.elementFromPoint(event.clientX, event.clientY)) ?? -1),
  });

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
  const placeLabel = (id, [x, y], shift) => $(id).style.transform = `translate(${x}px, ${y}px) translate(${shift})`;

  function placeMarks() {
    if (!line.length) return;
    const [start, end] = [line[0], line[line.length - 1]].map(view.toScreen);
    $("true-mark").setAttribute("transform", `translate(${start})`);
    $("predicted-mark").setAttribute("transform", `translate(${end})`);
    // On a line too short for it the label goes above both ends, so as to cover neither.
    const long = Math.abs(start[0] - end[0]) > 240 || Math.abs(start[1] - end[1]) > 90;
    const upper = start[1] < end[1] ? start : end;
    const place = long ? view.toScreen(line[Math.floor(line.length / 2)]) : upper;
    placeLabel("length", place, long ? "-50%, -50%" : "-50%, calc(-100% - 14px)");
    if (found < 0) return;
    const box = cells[found].getBBox();
    placeLabel("found-tip", view.toScreen([box.x + box.width / 2, box.y + box.height / 2]), "-50%, -50%");
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
    const place = view.inMap(event);
    placeLabel("tip", place, place[0] > svg.clientWidth - 180 ? "calc(-100% - 14px), -50%" : "14px, -50%");
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
    if (!view.isMoved() || line.some(view.isOutside)) view.fit();
    $("length").textContent = $("distance").textContent = entry.distance;
    $("location").value = current;
    $("position").textContent = `${current + 1} of ${data.entries.length}`;
    $("truth").textContent = pair(entry.true);
    $("predicted").textContent = pair(entry.predicted);
    showViews(entry.views);
    fillTable();
    lookUp(found);
  }

  svg.addEventListener("pointerleave", () => {
    $("tip").hidden = true;
    $("pointed").setAttribute("d", "");
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT)$/.test(event.target.tagName)) return;
    if (event.key === "n") show(current + 1);
    if (event.key === "p") show(current - 1);
  });
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
  show(data.selected);
})();
