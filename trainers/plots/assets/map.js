// Draws the cells, points and distance of one prediction, and steps through the others.
// `data` is what trainers/map_page.py wrote; its text only ever enters the page as textContent.
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const TRUE = '<svg viewBox="0 0 24 24"><circle class="true" cx="12" cy="12" r="9"/></svg>';
  const PREDICTED = '<svg viewBox="0 0 24 24"><path class="predicted" d="M12 2 22 12 12 22 2 12z"/></svg>';

  // Rings are steps in units of data.unit_deg: lon, lat, then differences.
  const ringOf = (steps) => {
    const ring = [];
    let lon = 0, lat = 0;
    for (let i = 0; i < steps.length; i += 2) {
      lon += steps[i];
      lat += steps[i + 1];
      ring.push([lat * data.unit_deg, lon * data.unit_deg]);
    }
    return ring;
  };

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

  const colourOf = (weight) => {
    const at = weight * (data.reds.length - 1);
    const low = Math.min(Math.floor(at), data.reds.length - 2);
    const channel = (hex, i) => parseInt(hex.slice(1 + 2 * i, 3 + 2 * i), 16);
    const mixed = [0, 1, 2].map((i) => {
      const from = channel(data.reds[low], i), to = channel(data.reds[low + 1], i);
      return Math.round(from + (at - low) * (to - from));
    });
    return `rgb(${mixed.join(",")})`;
  };

  const pair = (point) => point.map((degrees) => degrees.toFixed(3)).join(", ");

  const map = L.map("map", { zoomSnap: 0.25, zoomDelta: 0.5, attributionControl: false, maxZoom: 14 });
  L.control.scale({ maxWidth: 140 }).addTo(map);

  let current = 0;
  let probabilities = [];
  let drawn = L.layerGroup();
  let found = -1;

  const cellText = (cell) => {
    const text = document.createElement("span");
    text.textContent = `Cell ${cell}: ${percent(probabilities[cell])}`;
    return text;
  };
  const border = { weight: data.cells.length > 1000 ? 0.2 : 0.6, color: "#8c8c8c" };
  const cells = data.cells.map((polygons, cell) => {
    const rings = polygons.map((polygon) => polygon.map(ringOf));
    // Leaflet's own smoothing would treat each cell alone and tear shared borders apart.
    const shape = L.polygon(rings, { ...border, smoothFactor: 0, fillOpacity: 1 });
    shape.bindTooltip(() => cellText(cell), { sticky: true });
    shape.on("mouseover", () => highlight(cell, true)).on("mouseout", () => highlight(cell, false));
    return shape;
  });
  const land = L.featureGroup(cells).addTo(map);

  function fit(line) {
    map.fitBounds(land.getBounds().extend(line), { padding: [18, 18], animate: false });
  }

  function highlight(cell, on) {
    cells[cell].setStyle(on ? { weight: 2.5, color: "#222222" } : border);
    if (on) cells[cell].bringToFront();
  }

  function marker(point, html, name) {
    const icon = L.divIcon({ html, className: "point", iconSize: [22, 22] });
    const made = L.marker(point, { icon, riseOnHover: true });
    const text = `${name}: ${pair(point)}`;
    made.bindTooltip(Object.assign(document.createElement("span"), { textContent: text }), { direction: "top" });
    made.on("add", () => made.getElement().setAttribute("aria-label", text));
    return made;
  }

  const label = L.tooltip({ permanent: true, className: "way-length", opacity: 1 });
  // On a line too short for it the label goes above both ends, so as to cover neither.
  function placeLabel() {
    const line = data.entries[current].line;
    const [start, end] = [line[0], line[line.length - 1]].map((point) => map.latLngToLayerPoint(point));
    const long = Math.abs(start.x - end.x) > 240 || Math.abs(start.y - end.y) > 90;
    label.options.direction = long ? "center" : "top";
    label.options.offset = long ? [0, 0] : [0, -14];
    label.setLatLng(long ? line[Math.floor(line.length / 2)] : start.y < end.y ? line[0] : line[line.length - 1]);
  }

  function fillTable() {
    const best = probabilities.map((p, cell) => [p, cell]).sort((a, b) => b[0] - a[0] || a[1] - b[1]).slice(0, 5);
    $("top").replaceChildren(...best.map(([p, cell]) => {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: cell });
      button.setAttribute("aria-label", `Show cell ${cell} on the map`);
      button.addEventListener("click", () => lookUp(cell));
      const row = document.createElement("tr");
      row.insertCell().append(button);
      row.insertCell().textContent = percent(p);
      return row;
    }));
  }

  function lookUp(cell) {
    if (found >= 0) { highlight(found, false); cells[found].closeTooltip(); }
    found = Number.isInteger(cell) && cell >= 0 && cell < cells.length ? cell : -1;
    $("cell").value = found >= 0 ? found : "";
    $("found").textContent = found >= 0 ? percent(probabilities[found]) : "";
    if (found >= 0) {
      highlight(found, true);
      if (cells[found].getBounds().isValid()) cells[found].openTooltip(cells[found].getBounds().getCenter());
    }
  }

  function show(index) {
    current = (index + data.entries.length) % data.entries.length;
    const entry = data.entries[current];
    probabilities = probabilitiesOf(entry.probabilities);
    const highest = Math.max(...probabilities);
    cells.forEach((shape, cell) => shape.setStyle({ fillColor: colourOf(probabilities[cell] / highest) }));
    if (!map.getBounds().contains(entry.line)) fit(entry.line);
    drawn.remove();
    drawn = L.layerGroup([
      L.polyline(entry.line, { color: "#ffffff", weight: 6, smoothFactor: 0, interactive: false }),
      L.polyline(entry.line, { color: data.line_colour, weight: 3, smoothFactor: 0, interactive: false }),
      marker(entry.line[0], TRUE, "True point"),
      marker(entry.line[entry.line.length - 1], PREDICTED, "Predicted point"),
    ]).addTo(map);
    label.setContent(Object.assign(document.createElement("span"), { textContent: entry.distance }));
    placeLabel();
    $("location").value = current;
    $("position").textContent = `${current + 1} of ${data.entries.length}`;
    $("distance").textContent = entry.distance;
    $("truth").textContent = pair(entry.truth);
    $("predicted").textContent = pair(entry.predicted);
    $("half").textContent = percent(highest / 2);
    $("highest").textContent = percent(highest);
    fillTable();
    lookUp(found);
  }

  $("scale").style.background = `linear-gradient(to right, ${data.reds.join(",")})`;
  $("cell").max = cells.length - 1;
  $("location").append(...data.entries.map((entry, i) => new Option(`${entry.distance.split(" (")[0]}: ${entry.name}`, i)));
  $("location").addEventListener("change", (event) => show(Number(event.target.value)));
  $("previous").addEventListener("click", () => show(current - 1));
  $("next").addEventListener("click", () => show(current + 1));
  $("cell").addEventListener("input", (event) => lookUp(event.target.value === "" ? -1 : Number(event.target.value)));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT)$/.test(event.target.tagName)) return;
    if (event.key === "n") show(current + 1);
    if (event.key === "p") show(current - 1);
  });
  $("previous").disabled = $("next").disabled = data.entries.length < 2;

  // What the map shows is told by the panel beside it.
  map.getPanes().overlayPane.setAttribute("aria-hidden", "true");
  fit(data.entries[data.selected].line);
  map.setMinZoom(Math.max(0, map.getZoom() - 2));
  show(data.selected);
  label.addTo(map);
  map.on("zoomend", placeLabel);
  window.addEventListener("resize", () => map.invalidateSize());
})();
